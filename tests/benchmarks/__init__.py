"""Tests of the benchmarks: that they run, for a moment, and that their verdicts are right.

`test_verdicts` judges figures that are made up; `test_short_runs` starts each program. No figure is measured here.
"""
