"""`pws demo`: a simulated server, a scripted office day and the service in one process, shown as `pws watch` would.

May import the simulator, runtime, `terminal` and `shared`. What is run, and the commands to try, is `loopback`; a new
fault that its page offers is an entry in `playground`; what people do all day is `pws_soap.simulator.office`; how it
looks is `terminal`.
"""
