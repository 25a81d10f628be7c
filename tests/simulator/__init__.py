"""Tests of the simulator: people, nodes, faults, scripts, the control interface.

A new fault is tried in `test_faults` and `test_answers`.
"""
