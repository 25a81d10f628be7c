"""`pws doctor`: checks every step from the configuration to a notification, and says what to fix.

One module for each part: `node` with its `certificate`, `logins`, `contacts`, `callback` with its `listener` and
`reach`, `running`; of several replicas `engine` and `replicas`. The configuration by itself is
`shared.configuration_checks`, since `pws config check` checks it too. A new check is a function in the module of its
part that reports to the `Notebook` of `shared.findings`; the order of the parts is in `command`. May import the
library, access, the callback of the api, config, cluster, runtime and `shared`.
"""
