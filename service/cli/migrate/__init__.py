"""`pws migrate`: a pws.toml made from the files of Cisco's sample scripts.

May import config. How those files are read, and what was insecure in them, belongs here.
"""
