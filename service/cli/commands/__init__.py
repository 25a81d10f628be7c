"""The small commands of `pws`, one module each, with a click command named `command`.

May import the library, config and runtime, each inside the function that needs it where loading takes a moment. A new
command is a module here and a row of `COMMANDS` in `service.cli`; one that grows beyond a module gets a folder of its
own beside this one.
"""
