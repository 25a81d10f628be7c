"""Several replicas as processes, with an engine, ways between them that fail on request, and watchers of the promise.

| module | what |
|---|---|
| `background` | an event loop in a thread: proxies and watchers run there, the test itself stays plain |
| `cluster` | `pws simulate`, an engine and some `pws serve`: start, kill, pause, cut off, and wait until all is well |
| `watching` | reads all replicas all the time: presence against the truth, streams against each other, claims |
| `chaos` | faults that chance chooses, several at a time |

The engines themselves, with sentinels too, are started by `tests/cluster/servers.py`.
"""
