"""`pws watch`: follows a running service over HTTP, as any other program does, and shows it in the terminal.

May import `terminal` and `shared`. The options are in `command`, the service's address and key in `address`. What is
shown, such as a new column, belongs into `service.cli.terminal`.
"""
