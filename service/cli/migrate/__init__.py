"""`pws migrate`: a pws.toml made from the files of Cisco's sample scripts.

Decides how those files are read, and what in them is reported as insecure. May import config and `shared`. Another file
or key of the sample scripts belongs into `sample_scripts`, options and messages into `command`.
"""
