"""Tests of keeping in step: service and simulator in one process, in virtual time (`tests.support.virtual_office`).

A reason for doubt is tried in `test_doubts`, when something is read in `test_schedule`, the promise under faults by
chance in `test_random_faults`.
"""
