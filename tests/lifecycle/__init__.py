"""Tests of the lifecycle: stories by hand, histories by chance, all short histories one by one.

No I/O; time is an argument. `story` tells a test as a sequence, `small_server` is a server that obeys, `invariants`
are what must hold after each step.
"""
