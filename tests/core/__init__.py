"""Tests of core, in its own folders. No sockets, no server; the clock is moved by hand.

What the routes make of it is tested in `tests.api`, what readings do to it in `tests.sync`.
"""
