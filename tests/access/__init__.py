"""Tests of who may ask: keys, networks, rates, what browsers may send.

Headers and addresses go in, principals and refusals come out: no presence, no routes.
"""
