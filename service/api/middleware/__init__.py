"""What is done to every request before a route sees it: keys, limits, HEAD.

Plain ASGI. May import access and the api's problems. A rule for all routes belongs here, a rule for one belongs to it.
"""
