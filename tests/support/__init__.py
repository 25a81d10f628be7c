"""Helpers of several rooms: services without a server, offices in virtual time, ASGI calls, people and their keys.

No tests. What one room alone uses lies in that room.
"""
