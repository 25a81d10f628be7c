"""Tests of claims: picking, waiting, leases, reserve.

An order of picking is tried in `test_picking`; `test_rule_model` compares long histories with a model of the rules.
"""
