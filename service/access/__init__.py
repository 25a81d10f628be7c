"""Who may ask for what: API keys, scopes, and the door that every request goes through."""
