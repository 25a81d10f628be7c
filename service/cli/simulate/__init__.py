"""`pws simulate`: the simulated presence server, run as a program.

May import the simulator, which is a product of its own. The command's options and messages belong here, a behaviour of
the simulated server to `pws_soap.simulator`.
"""
