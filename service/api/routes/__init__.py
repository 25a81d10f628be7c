"""The routes, one noun per module: each has a function that makes its router from a `Context`."""
