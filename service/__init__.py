"""The service between the Presence Web Service and the applications that ask who is free."""
