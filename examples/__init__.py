"""Small clients of the HTTP API, to start from."""
