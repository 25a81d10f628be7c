"""The façade: the Presence Web Service itself, answered from what the service knows, for programs of the server.

What it tells whom, and when, is decided here (`world`, `announcer`, `preparation`), as is who may log in and how much
there may be of everything. How the protocol is spoken is decided by `pws_soap.server`, and how it is with the presence
of a contact by `core`: a room that imports both, `access`, and nothing else of the service.
"""
