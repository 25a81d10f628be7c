"""How log lines are written: as text or as JSON, one line each, without secrets and without what a terminal would obey.

What is logged is said where it happens, with the standard library's logging: a message, its fields by name, and
`extra={"event": ...}` with the stable name of the event, which docs/logs.md lists. Here is decided what a line looks
like, what is hidden in it and where it goes. May import core and the values of `pws_soap`.
"""
