"""The smallest configuration that is valid."""

from __future__ import annotations

BASE = """
[server]
nodes = ["imp1.example.com", "imp2.example.com:9083"]
[application]
username = "pwsapp"
password = "hunter2"
[callback]
url = "http://10.0.0.5:8080"
[[watch]]
end_user = "dispatcher"
contacts = ["joe@example.com"]
"""
