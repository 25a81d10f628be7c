"""`pws demo`: a simulated server, a scripted office day and the service in one process, shown as `pws watch` would.

May import the simulator, runtime, `terminal` and `shared`. `loopback` starts all of it and names the commands to try;
a new fault that the page offers is an entry in `playground`; the office day is `pws_soap.simulator.office`; the view
is `terminal`.
"""
