"""Tests of `pws doctor`: each check with what it finds, and the fix that it names.

It runs against the simulator, with TLS where certificates are looked at. A new check is tried here.
"""
