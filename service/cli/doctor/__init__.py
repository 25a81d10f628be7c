"""`pws doctor` from the inside: one module for each part of the way from a configuration to a notification."""
