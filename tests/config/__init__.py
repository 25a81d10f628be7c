"""Tests of the configuration: each key, each mistake with its words, the environment, the example file.

A new key is tried in `test_config`; that docs/service.md names it is held by `tests.cli.test_readme`.
"""
