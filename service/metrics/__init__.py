"""Figures for Prometheus: what is counted, what is read when it is asked for, and how both are written.

Decides names, units, help texts and labels (`table`). May import core, the codes of pws_soap, and prometheus_client,
which no other room knows. What happens is told through `core.meter`; what can be read from a state is read by
`collector` at a scrape. A new figure is a row of the table, here, and of docs/metrics.md. No label names a contact, a
key or a client.
"""
