"""What several commands share: options, sessions at the server, the service's HTTP API, output, wording, signals.

Decides what commands have in common, so that a user meets the same words and exit codes in each. May import config,
core and `sync.federation` (for its words), and no command. What to do about an error of the server is `hints`. What
one command alone needs stays with it.
"""
