"""Webhooks: events sent to HTTP addresses of the configuration, for hours if need be, and of each contact the last one.

Decides what waits for a target (`queue`), when it is tried again (`retries`), what a message is (`message`), how it is
sent and where a connection may go (`sender`), and what outlives the process (`leftovers`). May import core, aiohttp,
cloudevents and standardwebhooks. What a target may see is asked through the port `view`. A new kind of event needs
nothing here but a case of `subjects`.
"""
