"""`pws watch`: follows a running service as any other program does, over HTTP, and shows it in the terminal.

Knows the service's JSON, and nothing of its insides. What the live table shows, and how it keeps up, belongs here.
"""
