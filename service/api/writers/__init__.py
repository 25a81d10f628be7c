"""How contacts, claims and events are written: JSON and CSV as bytes, faster than by the models that describe them.

May import core, access and the api's models. A new field of a contact is described in `models` and is a row of
`fields.TABLE` here; tests hold both equal. What a new event looks like, and what a limited key gets of it, is a case in
`event`.
"""
