"""Claims: a contact that is free is held for a while by one client, so that nobody gets two tasks at once.

Decides who is picked, in which order requests wait, how long a lease lasts, and when too few are free. May import
presence and events. Another order of picking is a member of `model.Pick` and a case in `pick_order`; a rule of waiting
belongs into `wait_queue` or `reserve`. How a claim looks in JSON belongs to the api.
"""
