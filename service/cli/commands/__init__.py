"""The small commands of `pws`, one module each, with a click command named `command`.

May import the library, config and runtime, each inside the function that needs it where loading takes a moment. A
command that grows beyond one module gets a folder of its own beside this one.
"""
