"""Tests of the configuration: each key, each mistake with its words, the environment, the example file.

A new key is tried in `test_config`; docs/configuration.md names it.
"""
