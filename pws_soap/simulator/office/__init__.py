"""The simulated office: invented people, and the truth about their presence.

How an own state and one set by hand combine is decided here. It imports the values of `pws_soap.server`, and knows
neither nodes nor faults nor time. A new kind of contact belongs here; when people change is decided in `scripts`.
"""
