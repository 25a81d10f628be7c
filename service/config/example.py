"""A configuration file to start from: every key, its default, and why one would change it. It loads as it is."""

from __future__ import annotations

from typing import Final

_EXAMPLE: Final = """\
# Every key can also be set in the environment: server.nodes is PWS_SERVER__NODES="imp1.example.com,imp2.example.com",
# the first block's end_user is PWS_WATCH__0__END_USER. The environment beats this file.
# Paths are relative to this file. What stands behind a # is the default, or an example where there is none.

[server]
nodes = ["imp1.example.com", "imp2.example.com"]  # host or host:port; the first is preferred
# redirect_to = []          # hosts that a redirect may lead to beside those of nodes, or "any": they get the password
# tls = true                # false: plain http on port 8082 instead of https on 8083
# ca_file = "cup.pem"       # the private authority that signed the server's certificate (cup, not tomcat)
# fingerprint = "AB:CD:..." # or the SHA-256 of the certificate itself: openssl x509 -noout -fingerprint -sha256
# wsdl = "bundled"          # or "live" (asks the server), or the path of a WSDL file
# soap = "1.1"              # or "1.2"
# connect_timeout = 5.0     # seconds
# read_timeout = 30.0       # seconds
# max_reply_bytes = 33554432

[application]
username = "pwsapp"         # an application user in the group "Admin-3rd Party API"
password = "change me"      # better: put it into a file that only the service may read, and name that file:
# password_file = "/run/secrets/pws-password"
# take_over = false         # true: end the session of another application that holds the user (code 160)

[callback]
url = "http://10.0.0.5:8080"  # this service as the server reaches it; ports 80, 82 and 8080 are known to work
# secret_file = "callback-secret"  # 16 to 128 letters, digits, - or _; without it a new one is made at each start
# listen_host = "0.0.0.0"   # a listener for notifications alone, apart from the API
# listen_port = 8080
# allow_from = ["10.0.0.11", "10.0.0.12"]  # addresses or networks that notifications may come from; all without it
# trusted_proxies = ["10.0.0.2"]           # whose X-Forwarded-For says where a notification came from

[http]
# host = "127.0.0.1"        # another address takes a key, see [keys.NAME]
# port = 8080
# root_path = "/presence"   # the path of a proxy that has this service below it
# allowed_hosts = ["presence.example.com"]     # host names under which the API answers where it needs no key
# cors_origins = ["https://board.example.com"] # pages of other origins that may use the API

[fetch]
# safety_interval = 600     # seconds between reads without a notification: one that was lost is noticed after this
# heartbeat_interval = 30   # seconds without an answer after which one contact is polled; 0: never
# reconcile_interval = 3600 # seconds between sweeps that compare everything; 0: never
# max_parallel = 4

[lifecycle]
# endpoint_expires = 3600      # seconds, 3600 to 86399
# subscription_expires = 3600  # seconds, 3600 to 86400
# renew_at = 0.8               # renewed when this part of the life is over
# stop_timeout = 10.0          # seconds for cleaning up at the server
# requests_per_second = 20

[state]
# file = "pws-state.json"   # remembers ids over a crash, so that nothing is left behind at the server

[access]
# anonymous_from_anywhere = false  # true: every client may read; where there is no key, also change

[limits]
# requests_per_second = 100 # of one key, or of one address without a key; 0: no limit
# burst = 200
# streams = 200             # of all
# streams_per_client = 50
# max_body_bytes = 1048576

[stream]
# buffer = 10000            # events kept for those who come back
# keep_alive = 15           # seconds

[history]
# per_contact = 0           # transitions kept of each contact, in memory; 0: none, for privacy
# max_age = 86400           # seconds

[claims]
# default_lease = 120       # seconds
# max_lease = 3600
# max_waiting = 500         # requests that may wait for somebody to be free
# reserve = 5               # seconds that free people are kept for a request that waits for more of them; 0: never

[available]                 # who counts as free for a task: "available" in the answers
# free_states = ["AVAILABLE"]
# never_activities = ["on-the-phone", "alerting", "meeting"]
# max_idle = 600            # seconds; 0: idle does not matter
# dwell = 0                 # seconds that somebody must have been so, against flapping
# wrap_up = 0               # seconds after a call

[[watch]]                   # one block for each end user
end_user = "dispatcher"
domain = "example.com"      # completes bare names
contacts = ["joe", "rita@example.com"]
# contacts_file = "contacts.list"    # more of them: a JSON array, or one per line, # begins a comment
# presence_type = "RICH_PRESENCE"    # BASIC_PRESENCE has states only, and no "on the phone"

[groups.support]
contacts = ["joe@example.com", "rita@example.com"]
# pick = "longest-available"  # who is claimed: or "round-robin", "least-recently-claimed"
# min_free = 0                # fewer free ones than this raise coverage.low
# Any key of [available] may stand here as well, where it differs for this group.

# [keys.wallboard]           # an API key; pws key new makes one and prints this section
# hash = "sha256:..."
# scopes = ["read"]          # of read, claim, admin and metrics
# groups = ["support"]       # sees these groups only
# details = true             # false: sees who is available, and nothing else

# [canary]                   # measures the way from a change to the answer, by an end user that is nobody's
# end_user = "pws-canary"
# contact = "pws-canary@example.com"  # the same, as a contact of a [[watch]] block, in no group
# interval = 300             # seconds, 10 to 3600
"""


def example_toml() -> str:
    """The text of a commented configuration file."""
    return _EXAMPLE
