"""Tests of the command `pws`, one folder for each folder of the command line; what is true of all commands stands here.

Commands run in this process (`configured`) or as programs (`running`) against the simulator. A new command is named in
`test_command_line`; `test_readme` holds the documents to the commands and to the keys of the configuration.
"""
