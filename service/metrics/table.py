"""Every figure: its name, kind, labels and help text. docs/metrics.md has the same rows; a test holds them equal.

Names and units are as Prometheus has them: base units, `_total` for what only grows, `_seconds` for times. A time of
day is `_timestamp_seconds`, since the epoch.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class MetricKind(StrEnum):
    """What Prometheus calls the type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """A row of the table. `buckets` are the upper bounds of a histogram's, in its unit."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_COUNTER, _GAUGE, _HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM
_LAGS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_WAITS: Final = (0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_ANSWERS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0)
_TURNS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

# The service

BUILD: Final = Metric("pws_build_info", _GAUGE, "1, with the version of the service", ("version",))
STATE: Final = Metric(
    "pws_state",
    _GAUGE,
    "1 for the state that the service is in: starting, live, degraded, down or stopping; 0 for the others",
    ("state",),
)
READY: Final = Metric("pws_ready", _GAUGE, "Whether answers would be live, as /readyz says it")
LOOP_LAG: Final = Metric(
    "pws_event_loop_lag_seconds", _HISTOGRAM, "How late the event loop runs what is due", buckets=_TURNS
)

# At the server

NODE_STATE: Final = Metric(
    "pws_node_state",
    _GAUGE,
    "1 for the state that a node is in: up, down or unused; 0 for the others",
    ("node", "state"),
)
NODE_FAILURES: Final = Metric("pws_node_failures", _GAUGE, "Calls to a node that failed in a row", ("node",))
SESSION_USABLE: Final = Metric(
    "pws_session_usable",
    _GAUGE,
    "Whether a login is there and can be used; the application user's has no end_user",
    ("node", "end_user"),
)
ENDPOINT_USABLE: Final = Metric(
    "pws_endpoint_usable", _GAUGE, "Whether a node knows where to send notifications", ("node",)
)
ENDPOINT_EXPIRY: Final = Metric(
    "pws_endpoint_expiry_seconds", _GAUGE, "Seconds until an endpoint expires unless it is renewed", ("node",)
)
SUBSCRIPTION_USABLE: Final = Metric(
    "pws_subscription_usable", _GAUGE, "Whether a subscription is there and can be fetched", ("node", "feed")
)
SUBSCRIPTION_EXPIRY: Final = Metric(
    "pws_subscription_expiry_seconds",
    _GAUGE,
    "Seconds until a subscription expires unless it is renewed",
    ("node", "feed"),
)
SUBSCRIPTION_CONTACTS: Final = Metric(
    "pws_subscription_contacts", _GAUGE, "Contacts that a subscription has at the server", ("node", "feed")
)
LAST_NOTIFICATION: Final = Metric(
    "pws_subscription_last_notification_timestamp_seconds",
    _GAUGE,
    "When the last notification of a subscription came",
    ("node", "feed"),
)
LAST_FETCH: Final = Metric(
    "pws_subscription_last_fetch_timestamp_seconds",
    _GAUGE,
    "When the last fetch of a subscription began that succeeded",
    ("node", "feed"),
)
COMMANDS: Final = Metric(
    "pws_lifecycle_commands_total",
    _COUNTER,
    "Commands of the lifecycle that have ended, by resource (application, end-user, endpoint, subscription), action "
    "(make, renew, alter, reset, remove) and outcome: ok, redirected, or the kind of failure",
    ("resource", "action", "outcome"),
)
FAULTS: Final = Metric(
    "pws_faults_total", _COUNTER, "Fetches, polls and commands that the server refused, by its code", ("code",)
)
REQUESTS: Final = Metric(
    "pws_server_requests_total",
    _COUNTER,
    "Requests sent to the server, by lane of the request budget: lifecycle, fetch or poll",
    ("lane",),
)
REQUEST_WAITS: Final = Metric(
    "pws_server_request_wait_seconds_total",
    _COUNTER,
    "Seconds that requests waited for the request budget, by lane",
    ("lane",),
)
BUDGET: Final = Metric(
    "pws_server_requests_per_second_limit", _GAUGE, "The request budget of one node: lifecycle.requests_per_second"
)

# Notifications and reading

NOTIFICATIONS: Final = Metric(
    "pws_notifications_total",
    _COUNTER,
    "Requests to the callback's path, by outcome: taken, coalesced (one fetch serves several), unknown (no "
    "subscription has the id), rejected (no notification)",
    ("outcome",),
)
NOTIFICATION_LAG: Final = Metric(
    "pws_notification_lag_seconds",
    _HISTOGRAM,
    "From a notification to the moment at which the store has what it announced",
    buckets=_LAGS,
)
OLDEST_NOTIFICATION: Final = Metric(
    "pws_oldest_notification_age_seconds",
    _GAUGE,
    "How long the oldest notification has waited that no fetch has served; 0 where there is none",
)
READS: Final = Metric(
    "pws_reads_total",
    _COUNTER,
    "Readings of presence that have ended, by kind (fetch, poll) and outcome: ok, or the kind of failure",
    ("read", "outcome"),
)
UNKNOWN_OUTCOMES: Final = Metric(
    "pws_unknown_outcomes_total", _COUNTER, "Fetches whose reply was lost; what they may have told was read again"
)

# The promise

MISSED: Final = Metric(
    "pws_missed_notifications_total", _COUNTER, "Changes that were found although no notification announced them"
)
DRIFT: Final = Metric(
    "pws_drift_total", _COUNTER, "Contacts that a sweep found different from what was known, without a notification"
)
UNATTRIBUTED: Final = Metric(
    "pws_unattributed_entries_total", _COUNTER, "Entries of replies that were about no contact of their subscription"
)
CONTESTED: Final = Metric(
    "pws_contested_readings_total", _COUNTER, "Readings that overlapped and disagreed, and were read again"
)
UNREADABLE: Final = Metric("pws_unreadable_documents_total", _COUNTER, "Rich documents that could not be read")
STRANGERS: Final = Metric("pws_strangers_total", _COUNTER, "Presences in replies of contacts that are not watched")

# Contacts

CONTACTS: Final = Metric(
    "pws_contacts", _GAUGE, "Contacts that are watched, by freshness: live, stale or unknown", ("freshness",)
)
CONTACTS_BY_STATE: Final = Metric(
    "pws_contacts_by_state", _GAUGE, "Contacts that are watched, by their last known state", ("state",)
)
CONTACTS_FREE: Final = Metric("pws_contacts_free", _GAUGE, "Contacts that are available, claims counted")
CONTACTS_ON_THE_PHONE: Final = Metric("pws_contacts_on_the_phone", _GAUGE, "Contacts that are on the phone")
GROUP_CONTACTS: Final = Metric(
    "pws_group_contacts", _GAUGE, "Watched contacts of a group, by freshness", ("group", "freshness")
)
GROUP_FREE: Final = Metric(
    "pws_group_free", _GAUGE, "Contacts of a group that are available by its rule, claims counted", ("group",)
)
GROUP_ON_THE_PHONE: Final = Metric(
    "pws_group_on_the_phone", _GAUGE, "Contacts of a group that are on the phone", ("group",)
)
GROUP_MIN_FREE: Final = Metric(
    "pws_group_min_free", _GAUGE, "How many of a group should be free: its min_free, where it has one", ("group",)
)

# Clients

CONNECTIONS: Final = Metric(
    "pws_open_connections", _GAUGE, "Connections that are held open, by kind: stream, or waiting request", ("kind",)
)
CONNECTIONS_LIMIT: Final = Metric("pws_open_connections_limit", _GAUGE, "How many there may be of both: limits.streams")
SLOW_CLIENTS: Final = Metric(
    "pws_slow_clients_total",
    _COUNTER,
    "Streams that could not keep up, by what became of them: coalesced (the last event of each contact instead of "
    "all), restarted (a new snapshot), ended (nothing was read for a minute)",
    ("effect",),
)
EVENTS: Final = Metric("pws_events_total", _COUNTER, "Events, by name", ("event",))
CLAIMS: Final = Metric(
    "pws_claims_total",
    _COUNTER,
    "Requests for people, by outcome: granted, not-enough-free, full, stopping, left",
    ("outcome",),
)
CLAIM_WAITS: Final = Metric(
    "pws_claim_wait_seconds", _HISTOGRAM, "From a request for people to their being granted", buckets=_WAITS
)
CLAIMS_WAITING: Final = Metric("pws_claims_waiting", _GAUGE, "Requests for people that wait")
CLAIMS_HELD: Final = Metric("pws_claims_held", _GAUGE, "Claims that hold somebody now")

# The canary

CANARY_ROUNDS: Final = Metric(
    "pws_canary_rounds_total",
    _COUNTER,
    "Rounds of the canary, by outcome: seen, late (not seen in time), failed (nothing could be set)",
    ("outcome",),
)
CANARY_SECONDS: Final = Metric(
    "pws_canary_change_to_answer_seconds",
    _HISTOGRAM,
    "From the sending of the canary's setPresence to the answer that says so",
    buckets=_LAGS,
)
CANARY_LAST_SEEN: Final = Metric(
    "pws_canary_last_seen_timestamp_seconds",
    _GAUGE,
    "When a round of the canary was last seen; before the first one, when the service was started",
)
CANARY_INTERVAL: Final = Metric("pws_canary_interval_seconds", _GAUGE, "Seconds between two rounds of the canary")

# Webhooks

WEBHOOK_STATE: Final = Metric(
    "pws_webhook_state",
    _GAUGE,
    "1 for the state that a target of webhooks is in: delivering, retrying or parked; 0 for the others",
    ("target", "state"),
)
WEBHOOK_QUEUED: Final = Metric(
    "pws_webhook_queued", _GAUGE, "Messages to a target that wait or are under way", ("target",)
)
WEBHOOK_OLDEST: Final = Metric(
    "pws_webhook_oldest_queued_age_seconds",
    _GAUGE,
    "How long the oldest message to a target has waited; 0 where there is none",
    ("target",),
)
WEBHOOK_LAST_SUCCESS: Final = Metric(
    "pws_webhook_last_success_timestamp_seconds", _GAUGE, "When a target last took a message", ("target",)
)
WEBHOOK_COALESCED: Final = Metric(
    "pws_webhook_coalesced_total",
    _COUNTER,
    "Messages that were not sent because a later one about the same contact replaced them",
    ("target",),
)
WEBHOOK_DROPPED: Final = Metric(
    "pws_webhook_dropped_total", _COUNTER, "Messages that were lost to a full queue", ("target",)
)
WEBHOOK_ATTEMPTS: Final = Metric(
    "pws_webhook_attempts_total",
    _COUNTER,
    "Attempts to deliver a message, by outcome: delivered, refused (another status than 2xx), unanswered",
    ("target", "outcome"),
)
WEBHOOK_SECONDS: Final = Metric(
    "pws_webhook_attempt_seconds",
    _HISTOGRAM,
    "From the beginning of an attempt to its answer, or to the moment at which there will be none",
    ("target",),
    buckets=_ANSWERS,
)

# The façade

FACADE_SESSIONS: Final = Metric("pws_facade_sessions", _GAUGE, "Sessions of a user of the façade", ("user",))
FACADE_ENDPOINTS: Final = Metric("pws_facade_endpoints", _GAUGE, "Endpoints of a user of the façade", ("user",))
FACADE_SUBSCRIPTIONS: Final = Metric(
    "pws_facade_subscriptions", _GAUGE, "Subscriptions of a user of the façade", ("user",)
)
FACADE_CONTACTS: Final = Metric(
    "pws_facade_contacts", _GAUGE, "Contacts in all subscriptions of a user of the façade", ("user",)
)
FACADE_LIMIT: Final = Metric(
    "pws_facade_limit", _GAUGE, "How many sessions, endpoints and subscriptions there may be at the façade", ("kind",)
)
FACADE_SILENT: Final = Metric(
    "pws_facade_silent_subscriptions",
    _GAUGE,
    "Subscriptions at the façade that were notified long ago and have not been fetched since",
    ("user",),
)
FACADE_LAST_FETCH: Final = Metric(
    "pws_facade_last_fetch_timestamp_seconds",
    _GAUGE,
    "When a subscription of a user of the façade was last fetched, of those that there are",
    ("user",),
)
FACADE_NOTIFICATIONS: Final = Metric(
    "pws_facade_notifications_total",
    _COUNTER,
    "Notifications to programs, by outcome: sent, failed, refused (nowhere they may be sent)",
    ("user", "outcome"),
)
FACADE_REQUESTS: Final = Metric(
    "pws_facade_requests_total", _COUNTER, "Requests at the façade, by operation; unreadable is none", ("operation",)
)
FACADE_FAULTS: Final = Metric(
    "pws_facade_faults_total",
    _COUNTER,
    "Requests at the façade that were refused, by code",
    ("code",),
)
FACADE_READ_THROUGH: Final = Metric(
    "pws_facade_read_through_total", _COUNTER, "Polls at the façade for which the presence server had to be asked"
)
FACADE_WITHHELD: Final = Metric(
    "pws_facade_withheld_contacts",
    _GAUGE,
    "Contacts that are not live just now, and of which some program waits to hear",
)

# Several replicas

CLUSTER_ROLE: Final = Metric(
    "pws_cluster_role",
    _GAUGE,
    "1 for the role of this replica: owner, follower, candidate (nobody is heard) or lapsed (an owner without lease);"
    " 0 for the others",
    ("role",),
)
CLUSTER_OWNER_KNOWN: Final = Metric(
    "pws_cluster_owner_known", _GAUGE, "Whether this replica knows one that owns the sessions, perhaps itself"
)
CLUSTER_SILENT: Final = Metric(
    "pws_cluster_silent", _GAUGE, "Whether this replica does not hear the owner, so that nothing is live here"
)
CLUSTER_EPOCH: Final = Metric("pws_cluster_epoch", _GAUGE, "The epoch of the owner; it grows with each")
CLUSTER_LAG: Final = Metric(
    "pws_cluster_lag_seconds", _GAUGE, "How long ago this replica knew all that the owner knew; 0 at the owner"
)
CLUSTER_MEMBERS: Final = Metric(
    "pws_cluster_members",
    _GAUGE,
    "Replicas that this one knows, by state: owner, follower, lapsed, silent (one that has ended is forgotten after a"
    " minute)",
    ("state",),
)
CLUSTER_CONFIGURATIONS: Final = Metric(
    "pws_cluster_configurations", _GAUGE, "Different configurations among the replicas that are there; 1 is right"
)
CLUSTER_VERSIONS: Final = Metric(
    "pws_cluster_versions", _GAUGE, "Different versions among the replicas that are there; 1 but for an update"
)
CLUSTER_TAKES: Final = Metric("pws_cluster_takes_total", _COUNTER, "How often this replica became the owner")
CLUSTER_LOSSES: Final = Metric(
    "pws_cluster_losses_total", _COUNTER, "How often this replica lost the ownership without having handed it over"
)
CLUSTER_WAITING: Final = Metric(
    "pws_cluster_waiting", _GAUGE, "Entries and values of this owner that the engine has not accepted yet"
)
CLUSTER_COMMITTED: Final = Metric(
    "pws_cluster_committed_entries_total", _COUNTER, "Entries of the log that the engine has accepted from this owner"
)
CLUSTER_FORWARDED: Final = Metric(
    "pws_cluster_forwarded_total",
    _COUNTER,
    "Requests that another replica had to answer: answered, unreachable, not-a-replica, no-owner, client-gone; or that"
    " were said to come from one and were refused: forged, too-old, no-owner",
    ("outcome",),
)
CLUSTER_ENGINE_UP: Final = Metric(
    "pws_cluster_engine_up", _GAUGE, "Whether the engine answered last, and takes what this owner says"
)
CLUSTER_ENGINE_INFO: Final = Metric(
    "pws_cluster_engine_info", _GAUGE, "1, with the name and the version of the engine", ("name", "version")
)
CLUSTER_ENGINE_KEEPS: Final = Metric(
    "pws_cluster_engine_evicts_nothing", _GAUGE, "Whether the engine's maxmemory-policy is noeviction, as it has to be"
)
CLUSTER_ENGINE_PERSISTENT: Final = Metric(
    "pws_cluster_engine_persistent", _GAUGE, "Whether the engine keeps its data on disk"
)
CLUSTER_COMMANDS: Final = Metric(
    "pws_cluster_engine_commands_total",
    _COUNTER,
    "Commands to the engine, by outcome: ok, or why not. A commit or a claim is a batch of the log",
    ("command", "outcome"),
)
CLUSTER_SECONDS: Final = Metric(
    "pws_cluster_engine_command_seconds",
    _HISTOGRAM,
    "From a command to the engine to its answer, or to the moment at which there will be none; without those that wait",
    ("command",),
    buckets=_TURNS,
)

COUNTED: Final = (
    NOTIFICATIONS,
    NOTIFICATION_LAG,
    READS,
    FAULTS,
    COMMANDS,
    REQUESTS,
    REQUEST_WAITS,
    CLAIMS,
    CLAIM_WAITS,
    SLOW_CLIENTS,
    EVENTS,
    LOOP_LAG,
    CANARY_ROUNDS,
    CANARY_SECONDS,
    WEBHOOK_ATTEMPTS,
    WEBHOOK_SECONDS,
)
"""Those that are counted as things happen."""
READ: Final = (
    BUILD,
    STATE,
    READY,
    NODE_STATE,
    NODE_FAILURES,
    SESSION_USABLE,
    ENDPOINT_USABLE,
    ENDPOINT_EXPIRY,
    SUBSCRIPTION_USABLE,
    SUBSCRIPTION_EXPIRY,
    SUBSCRIPTION_CONTACTS,
    LAST_NOTIFICATION,
    LAST_FETCH,
    BUDGET,
    OLDEST_NOTIFICATION,
    UNKNOWN_OUTCOMES,
    MISSED,
    DRIFT,
    UNATTRIBUTED,
    CONTESTED,
    UNREADABLE,
    STRANGERS,
    CONTACTS,
    CONTACTS_BY_STATE,
    CONTACTS_FREE,
    CONTACTS_ON_THE_PHONE,
    GROUP_CONTACTS,
    GROUP_FREE,
    GROUP_ON_THE_PHONE,
    GROUP_MIN_FREE,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    CLAIMS_WAITING,
    CLAIMS_HELD,
    CANARY_LAST_SEEN,
    CANARY_INTERVAL,
    WEBHOOK_STATE,
    WEBHOOK_QUEUED,
    WEBHOOK_OLDEST,
    WEBHOOK_LAST_SUCCESS,
    WEBHOOK_COALESCED,
    WEBHOOK_DROPPED,
    FACADE_SESSIONS,
    FACADE_ENDPOINTS,
    FACADE_SUBSCRIPTIONS,
    FACADE_CONTACTS,
    FACADE_LIMIT,
    FACADE_SILENT,
    FACADE_LAST_FETCH,
    FACADE_NOTIFICATIONS,
    FACADE_REQUESTS,
    FACADE_FAULTS,
    FACADE_READ_THROUGH,
    FACADE_WITHHELD,
)
"""Those that are read when they are asked for."""
CLUSTER_COUNTED: Final = (CLUSTER_COMMITTED, CLUSTER_COMMANDS, CLUSTER_SECONDS)
"""Those that are counted where there are several replicas."""
CLUSTER_READ: Final = (
    CLUSTER_ROLE,
    CLUSTER_OWNER_KNOWN,
    CLUSTER_SILENT,
    CLUSTER_EPOCH,
    CLUSTER_LAG,
    CLUSTER_MEMBERS,
    CLUSTER_CONFIGURATIONS,
    CLUSTER_VERSIONS,
    CLUSTER_TAKES,
    CLUSTER_LOSSES,
    CLUSTER_WAITING,
    CLUSTER_FORWARDED,
    CLUSTER_ENGINE_UP,
    CLUSTER_ENGINE_INFO,
    CLUSTER_ENGINE_KEEPS,
    CLUSTER_ENGINE_PERSISTENT,
)
"""Those that are read where there are several replicas."""
OF_REPLICAS: Final = (*CLUSTER_READ, *CLUSTER_COUNTED)
"""A single process has none of them."""
ALL: Final = (*READ, *COUNTED, *OF_REPLICAS)
