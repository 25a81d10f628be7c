"""`pws doctor`: one module for each part of the way from a configuration to a notification.

May import the library, config and the commands' shared parts. A check that tells the operator what to mend belongs
here.
"""
