"""Tests of the running process: listeners, limits of a connection, reload, the lock on the state file.

Whole programs are started in `tests.e2e`; here one part is tried at a time.
"""
