"""The service between the Presence Web Service and the applications that ask who is free.

Its rooms, each of which imports only rooms to its left: core <- sync, access <- api, config, metrics <- runtime <- cli.
A module belongs into one of them; there is none beside them. What is true is core, how we learn it sync, who may ask
access, what is asked and answered api, what an operator sets config, what is counted metrics. docs/architecture.md
draws it, docs/contributing.md has recipes.
"""

__version__ = "0.2.0"
