"""Claims: a person who is free is held for a while by one client, so that nobody gets two tasks at once.

Decides who is picked, in which order requests wait, how long a lease lasts, and when too few are free. May import
presence and events. Rules of picking and waiting belong here; how a claim looks in JSON belongs to the api.
"""
