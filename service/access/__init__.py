"""Who may ask for what: API keys, scopes, rate limits, open streams, and what a browser may send.

Decides about a request from its headers and its address. May import the clock of core, starlette and fastapi; knows
neither presence nor the configuration. A new limit, or another way to present a key, belongs here.
"""
