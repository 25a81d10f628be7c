"""Tests of `pws demo`: what it starts, prints and leaves behind.

How its view looks is tested in `tests.cli.terminal`, its page in `tests.dashboard`.
"""
