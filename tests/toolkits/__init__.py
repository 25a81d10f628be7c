"""Clients in other languages, built and run as processes.

`test_clients`: SOAP toolkits against the simulator, the clients of `examples/soap/`. Another language is a section of
`examples/soap/README.md` and a line in `recipes.TOOLKITS`. `test_generated`: what openapi-generator makes of our
description, with the settings of `clients/`. `test_followers`: the programs of `examples/` that follow a stream.
"""
