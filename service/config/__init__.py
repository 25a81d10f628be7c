"""The configuration: a TOML file, the environment over it, secrets in files of their own.

`load` returns frozen values or raises `ConfigError` with every mistake at once; `example_toml` is a file to start from.
May import the values of core and access; starts nothing and knows no HTTP. A new key, its default and its check belong
into `server_sections` (the presence server, the callback, fetching, the state file, what is watched), `api_sections`
(HTTP, keys, limits, streams, history, claims, groups), `operation_sections` (log, audit, traces) or `cluster_section`
(several replicas), with its description, and nowhere else: the example, the schema, `in_force` and
docs/configuration.md are made from it. What is done with a value belongs to runtime.
"""

from service.config.api_sections import Available, Group, Http
from service.config.contacts import completed, merged
from service.config.errors import ConfigError, Problem
from service.config.example import example_toml
from service.config.in_force import Setting, SettingSource, in_force
from service.config.load import load
from service.config.schema import schema
from service.config.secret_values import secret_values
from service.config.sections import Config
from service.config.server_sections import (
    Application,
    CallbackSection,
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
    "Setting",
    "SettingSource",
    "StateSection",
    "Watch",
    "completed",
    "example_toml",
    "in_force",
    "load",
    "merged",
    "schema",
    "secret_values",
]
