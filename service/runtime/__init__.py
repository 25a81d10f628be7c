"""A configuration made into a running process.

Puts the parts together, opens sockets, holds the lock on the state file, and decides from the configuration who needs a
key. May import everything but the command line. What is about wiring, starting or stopping belongs here.
"""
