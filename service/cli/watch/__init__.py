"""`pws watch` from the inside: follows a running service as any other program does, over HTTP."""
