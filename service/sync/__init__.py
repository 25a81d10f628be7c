"""Our copy of presence, kept in step with IM&P.

Carries out what `pws_soap.lifecycle` decides (`driver`, `commands`), fetches notified subscriptions, polls contacts in
doubt (`schedule` decides when), and reports how that goes (`status`). May import core and pws_soap; knows neither HTTP
routes nor keys. Whatever talks to the presence server or survives a restart belongs here, as does a new reason for
which what it reads is in doubt, and how many notifications are kept (`inbox`).
"""
