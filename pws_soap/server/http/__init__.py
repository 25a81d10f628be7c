"""A node at work over HTTP: the order of things around one request, the listening socket, notifications on their way.

What HTTP does is decided here: paths, methods, lengths, when a connection is closed, how often a notification is tried.
It imports all of `pws_soap.server`, asyncio, aiohttp and uvicorn. A limit on requests or connections belongs here.
"""
