"""The routes, one noun per module: each has a function that makes its router from a `Context`.

May import everything of the api, core and access. A route reads its parameters, asks core, and writes the answer;
decisions about presence and claims do not belong here. A new module is named in `service.api.app`. `callback` is where
the server's notifications come in: what is accepted there is decided in it.
"""
