"""Tests of the server's side of the protocol, and of a second server built from it.

A new code is tried in `test_replies`, a rule of the schema in `test_requests`.
"""
