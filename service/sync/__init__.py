"""Our copy of presence, kept in step with IM&P.

Carries out what `pws_soap.lifecycle` decides, fetches subscriptions that have changes, polls contacts in doubt, and
reports its status. May import core and pws_soap; knows neither HTTP routes nor keys. Whatever talks to the presence
server, or survives a restart, belongs here.
"""
