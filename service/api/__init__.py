"""HTTP in; JSON, events and a page out.

Decides how requests are read, and how answers and errors are written (RFC 9457, `problems.KINDS`). May import core
and access; never sync: what it needs of the server it asks of the port `core.engine`. A new route belongs into
`routes`, a parameter into `parameters`, a field of an answer into `models` and `writers`, a header on every answer
into `middleware`. `app` puts them together.
"""
