"""XML in and out: requests become calls, replies and faults become envelopes, presence becomes rich documents.

How something is spelled on the wire is decided here. Pure: bytes and values, no I/O but reading the bundled WSDL
once. It imports the values of `pws_soap.server`. A new element, namespace or carrier of rich documents
(`pidf_writer`, and its name in `server.options`) belongs here; what a call means belongs in `pws_soap.server.node`.
"""
