"""Webhooks: events sent to HTTP addresses of the configuration, each when it can be and the last of each contact for sure.

Decides what waits for a target (`queue`), when it is tried again and when given up (`retries`), what a message looks like
(`message`), how it is sent and to whom it may connect (`sender`), and what outlives the process (`file`). May import core,
aiohttp, cloudevents and standardwebhooks; what a target may see is asked through the port `view`. A new kind of event needs
nothing here but, where it is about something new, its `subject`.
"""
