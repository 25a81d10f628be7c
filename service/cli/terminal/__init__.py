"""One view of a running service, for `pws watch` and `pws demo`: a screen in a terminal, lines elsewhere.

Uses the service's HTTP API alone. May import `shared`, the values of core, rich and textual. A new column of the
screen belongs into `columns`, something above or below the list into `bars`, a key into `screen` and `sheets`, the
wording of a line into `lines`. `follow` keeps the connection; `picture` holds what was received over it.
"""
