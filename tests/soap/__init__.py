"""Tests of the library: codec, envelope, client, wire, TLS, and gSOAP as a foreign client.

`test_faults` holds every code with its class and its policy.
"""
