"""HTTP in; JSON, events and a page out.

Decides how requests are read, how answers look, and how errors are told (RFC 9457). May import core and access; never
sync: what it needs of the server it asks of the port `core.engine`. A new route, parameter, field of an answer or media
type belongs here.
"""
