"""What one node keeps and answers: sessions, endpoints, subscriptions, who owns them, when they expire, and the latch.

What a call means and which code refuses it is decided here, as is which notifications are sent. Pure: no I/O, no clock,
no random source; the time is an argument, and session keys are made by the caller. It imports the values and ports of
`pws_soap.server`, and `soap` for the document that setPresence carries. The reason for a new PWS code is found here.
"""
