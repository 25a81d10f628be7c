"""What several commands share: options, sessions at the server, the service's HTTP API, output, wording, signals.

Decides what commands have in common, so that a user meets the same words and exit codes in each. May import config,
core, runtime (for its rules) and of sync what knows no server, and no command. What to do about an error of the server
is `hints`. What one command alone needs stays with it.
"""
