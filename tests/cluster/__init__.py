"""Replicas: the pure parts, the contract of the engine, and the engines themselves."""
