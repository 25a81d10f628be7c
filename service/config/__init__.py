"""The configuration: a TOML file, the environment over it, secrets in files of their own.

`load` returns frozen values or raises `ConfigError` with every mistake at once; `example_toml` is a file to start from.
May import the values of core and access; starts nothing and knows no HTTP. A new key, its default and its check belong
into `server_sections` (the presence server, the callback, fetching, the state file, what is watched) or `api_sections`
(HTTP, keys, limits, streams, history, claims, groups), and into `example`; what is done with it belongs to runtime.
"""

from service.config.api_sections import Available, Group, Http
from service.config.contacts import completed, merged
from service.config.errors import ConfigError, Problem
from service.config.example import example_toml
from service.config.load import load
from service.config.server_sections import (
    Application,
    CallbackSection,
    Config,
    Fetch,
    Lifecycle,
    ServerSection,
    StateSection,
    Watch,
)

__all__ = [
    "Application",
    "Available",
    "CallbackSection",
    "Config",
    "ConfigError",
    "Fetch",
    "Group",
    "Http",
    "Lifecycle",
    "Problem",
    "ServerSection",
    "StateSection",
    "Watch",
    "completed",
    "example_toml",
    "load",
    "merged",
]
