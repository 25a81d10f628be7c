"""The service between the Presence Web Service and the applications that ask who is free.

Its rooms, each of which imports only rooms to its left: core <- sync, access <- api, config <- runtime <- cli. A module
belongs into one of them; there is none beside them. docs/architecture.md draws it, import-linter holds it.
"""
