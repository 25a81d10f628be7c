"""Tests of the view of a service: the screen, the lines, and how the connection is kept.

A new column or key is tried in `test_screen`, the wording of a line in `test_lines`, a reconnection in `test_follow`.
"""
