"""Tests of `pws migrate`: how the sample scripts' files are read, and what is reported as insecure in them.

The files come from `tests.support.sample_scripts`.
"""
