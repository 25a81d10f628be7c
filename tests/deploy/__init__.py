"""What deploy/ holds, checked against our own sources, and by the programs that read it where they are installed."""
