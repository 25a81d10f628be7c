"""`pws demo`: a simulated server, a scripted office day and the service in one process, shown as `pws watch` would.

May import the simulator, runtime, `terminal` and `shared`. `simulated` is the server and its people, `loopback` starts
a service on it and names the commands to try; a new fault that the page offers is an entry in `playground`; the office
day is `pws_soap.simulator.office`; the view is `terminal`.

With `--replicas` the services are processes: `replicas` puts them together, `replica_processes` starts, watches and
ends them, `replica_tricks` is what the buttons of their pages do to them, `replica` is what runs in each; `channel` is
what the two say to each other; `engine_process` and `guard` keep a Redis or Valkey, `reserved`
keeps their ports, `balancer` is in front.
"""
