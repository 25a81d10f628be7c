"""Contacts: their records, how sure a state is, who is available, and the queries over them.

May import the clock and the values of pws_soap, and nothing of events or claims but what `claim` says of one. A new
field of a contact, a filter, an order or a rule of availability belongs here.
"""
