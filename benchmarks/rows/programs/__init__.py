"""Programs that rows start as processes of their own. Each takes commands from its standard input, see `control`."""
