"""The nodes of the simulated cluster, joined: one world, one set of faults, one clock, redirects and backups.

Who may log in and which node is whose home is decided here, and what an operator can do to nodes. It imports `faults`,
`office`, the options and `pws_soap.server`, and opens no socket. A new thing that happens to a whole node belongs here.
"""
