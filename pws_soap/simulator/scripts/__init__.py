"""What happens to a running simulator by plan: single actions by name, scenarios from TOML, the office day.

Which names and plain values people may write is decided here. It imports `cluster` and what is below it, and no web
framework. A new action (something done to nodes at once) or a change to the office day belongs here.
"""
