"""How contacts and claims are written: JSON and CSV as bytes, faster than by the models that describe them.

May import core, access and the api's models. A new field of an answer is described in `models` and written here; tests
hold both equal. `fields` is the one table of a contact's fields.
"""
