"""What can go wrong between a client and a node: what faults there are, whom they hit, and what they do.

A new fault is named in `kinds`. If it is one of a request, `requests` carries it out; `damage` and `entries` change the
bytes of a reply, `gateway` replaces it, `connection` breaks its sending; `notifications` has those of notifications,
`outages` nodes that are down. All of them enter the server through the ports `Interceptor`, `NotificationRoute` and
`ReplySender`. It imports `pws_soap.server`, and knows neither people nor the control interface.
"""
