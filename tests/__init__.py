"""Tests, in the rooms of the code.

`core`, `sync`, `access`, `api`, `config`, `runtime` and `cli` are of the service, `soap`, `pidf`, `lifecycle`,
`server` and `simulator` of the library. `e2e` runs processes, `dashboard` a browser, `model` explores the protocol,
`benchmarks` runs the benchmarks for a moment, `deploy` holds the files of deploy/ to the programs that read them.

A test lies where the code that it is about lies. No test imports another test module: helpers of one room lie beside
its tests, helpers of several in `support`. What no room owns, such as the walls, is in `test_layers`.
"""
