"""What several commands share: options, sessions at the server, output, wording, signals.

May import config and core, and no command. What only one command needs stays with it.
"""
