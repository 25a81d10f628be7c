"""Who may ask for what: API keys, scopes, rate limits, open streams, and what a browser may send.

Decides about a request from its headers and its address, and refuses with an error of `errors`. May import the clock of
core, starlette and fastapi; knows neither presence nor the configuration. A new limit on clients, a new scope, or
another way to present a key belongs here; so does from where callbacks may come (`networks`).
"""
