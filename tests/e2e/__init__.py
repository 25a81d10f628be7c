"""Tests of whole processes over sockets: service and simulator, crashes included.

What the service makes of each fault of the simulator is in `test_truth_*`.
"""
