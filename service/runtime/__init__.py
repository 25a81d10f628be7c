"""A configuration made into a running process.

Puts the parts together (`assembly`), opens sockets, holds the lock on the state file, and decides from the
configuration who needs a key (`access_rules`). May import everything but the command line. A new key of the
configuration is handed to its part here; what is about wiring, starting, stopping, or the cost of one connection
(`http_protocol`) belongs here.
"""
