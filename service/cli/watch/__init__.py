"""`pws watch`: follows a running service over HTTP, as any other program does, and shows it in the terminal.

May import `terminal` and `shared`. Its options are in `command`, where the service is and the key to it in `address`.
What is shown, such as a new column, belongs into `service.cli.terminal`.
"""
