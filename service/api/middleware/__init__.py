"""What is done to every request before a route sees it, and to every answer: keys, size limits, headers, HEAD.

Plain ASGI. May import access and the api's problems. A header on every answer belongs into `limits`, as does a limit on
the size of requests, callbacks included. A rule for one route belongs to that route.
"""
