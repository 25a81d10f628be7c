"""Tests of what commands share: ranges, durations, sessions, hints, output.

A new value of an option is tried in `test_ranges`, a new advice about an error in `test_hints`.
"""
