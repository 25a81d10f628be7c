"""SOAP toolkits of other languages against the simulator: the clients of `examples/soap/`, built and run as processes.

Another language is a section of `examples/soap/README.md` and a line in `recipes.TOOLKITS`.
"""
