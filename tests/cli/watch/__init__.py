"""Tests of `pws watch`: its options, and how it finds the service.

What it shows is tested in `tests.cli.terminal`.
"""
