"""Several replicas on one Redis or Valkey, "the engine": one of them owns the sessions at the server, others mirror.

Decides who may do what when (`lease`), which moment of another machine's clock is which of ours (`clock_mapping`), who
is there (`members`), which ids may be resumed (`tenures`), what travels and how it is written (`wire`). The engine is a
small protocol (`engine`) with a twin in memory (`memory`); Redis and Valkey are known to `redis_engine` alone, their
package to `redis_connections`. May import core and the values of `pws_soap`. A second engine is one more class, which
has to pass the tests of the contract.
"""
