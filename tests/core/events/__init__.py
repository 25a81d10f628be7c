"""Tests of the event log: order, ids, what comes with time, what is kept.

Who may see an event, and how a stream sends it, is tested in `tests.api`.
"""
