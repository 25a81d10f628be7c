"""Tests of the small commands, each against the simulator.

One module for each command, but for those that speak to a server in the same way (`test_server_commands`).
"""
