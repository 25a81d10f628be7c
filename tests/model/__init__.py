"""An explicit-state model of the fetch protocol: which rules keep the promise, and which do not.

It shares no code with the service. A new fault of the server or rule of ours is added to `faults` or `rules`; the
verdicts stand in `test_promise`.
"""
