"""Tests of the HTTP API over ASGI, without sockets and without a presence server (`tests.support.bare_service`).

A new route gets a `test_NOUN_routes`; `test_matrix` tries it with every kind of key by itself. A field of a contact is
held in `test_models` and `test_csv`, an event and who may see it in `test_events`, a problem in `test_problems`, limits
and headers of every answer in `test_limits`.
"""
