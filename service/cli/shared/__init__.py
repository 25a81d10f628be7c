"""What several commands share: options, sessions at the server, the service's HTTP API, output, wording, signals.

May import config and core, and no command. What one command alone needs stays with it.
"""
