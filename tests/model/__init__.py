"""An explicit-state model of the fetch protocol: which rules keep the promise, and which do not."""
