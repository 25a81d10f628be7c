"""Streams of server-sent events: where a client resumes, what it sees of an event, and how that is sent.

May import core, access, and the api's writers and models. What all followers of events have in common belongs to
`core.events`; what one connection needs belongs here.
"""
