"""The control interface: what a tester sees of a running simulator and does to it, as JSON over HTTP.

Routes and the JSON they answer are decided here. It imports `scripts`, `cluster` and what is below them, and starlette.
A new route belongs here; what it does belongs in `scripts` or `cluster`.
"""
