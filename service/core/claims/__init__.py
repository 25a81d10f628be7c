"""Claims: a person who is free is held for a while by one asker, so that nobody gets two tasks at once."""
