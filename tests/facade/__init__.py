"""The façade: what programs are told, by the whole of the protocol."""
