"""Tests of `pws simulate`: its options, its messages, how it stops.

What the simulated server does is tested in `tests.simulator`.
"""
