"""Contacts: their records, how sure a state is, who is available, and the queries over them.

May import the clock and the values of pws_soap, and nothing of events or claims but what `claim` says of one. Another
reason for stale that comes with time is a row in `freshness` (and in `boundaries`); one that sync notices is a call of
`Store.doubt`, for a whole feed, or `Store.doubt_contacts`. A rule of availability belongs
into `availability`, a filter into `filters`, an order of lists into `sorting`. A new field of a
contact begins in `records`; how answers show it is `service.api.models` and `service.api.writers.fields`.
"""
