"""Streams of server-sent events: where a client resumes, what it sees of an event, and how that is sent.

May import core, access, and the api's writers and models. What all followers of events have in common belongs to
`core.events`; the JSON of an event to `api.writers.event`; what one connection needs, such as ids and pace, belongs
here.
"""
