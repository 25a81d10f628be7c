"""`pws simulate`: the presence server to play with, run as a program.

May import the simulator, which is a product of its own. Options and words of the command belong here, behaviour of the
simulated server to `pws_soap.simulator`.
"""
