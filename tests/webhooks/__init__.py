"""Tests of webhooks: what waits for a target, when it is tried again, what a message is, how it is sent, what is kept.

Most of it on a clock that stands, with receivers in memory; over sockets and TLS only what is about them.
"""
