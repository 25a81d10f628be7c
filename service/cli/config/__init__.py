"""`pws config`: checks, shows, describes and begins the configuration file.

`command` has the four commands, `check` what only `pws config check` looks at (what `pws doctor` looks at too is
`shared.configuration_checks`), `listing` how `pws config show` prints. What is said of a key is the room config's. May
import the library, config, runtime and `shared`.
"""
