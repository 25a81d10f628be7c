"""`pws demo`: simulator, service and a scripted day in one process, shown in the terminal.

May import the simulator and runtime. What the demonstration plays and how it is shown belongs here.
"""
