"""Tests of the store and of the queries over it.

A reason for stale is a row in `test_freshness`, a rule of availability is tried in `test_availability`, an order of
lists in `test_sorting`; `test_store_model` compares long histories with a model of the store.
"""
