"""Which notifications a node sends, and to which URL.

After a notification no other is sent for the subscription until it is fetched (protocol section 2, the latch), whether
or not the notification arrived.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from pws_soap.server.messages import Notification
from pws_soap.server.node.registry import Registry, Subscription
from pws_soap.server.options import ServerOptions

EVENT_TYPE = "PRESENCE_NOTIFICATION"


class Notifications:
    """Makes the notifications of a node; `withheld` counts by reason those that it does not make."""

    def __init__(self, node: str, options: ServerOptions) -> None:
        self._node = node
        self._options = options
        self.withheld: Counter[str] = Counter()

    def of(
        self,
        subscriptions: Iterable[Subscription],
        registry: Registry,
        cpu: float,
        now: float,
        can_be_told: Callable[[Subscription], bool],
    ) -> tuple[Notification, ...]:
        """The notifications for subscriptions in which something changed; closes their latches.

        `can_be_told`: whether a fetch would tell anything of that now. Where it would not, the latch stays open.
        """
        made = []
        for subscription in subscriptions:
            if subscription.silent:
                self.withheld["latch"] += 1
                continue
            if cpu > self._options.cpu_notification_limit:
                self.withheld["cpu"] += 1
                continue
            if not can_be_told(subscription):
                self.withheld["not to be told"] += 1
                continue
            subscription.silent = True
            subscription.notified = now
            endpoint = registry.endpoints.get(subscription.endpoint)
            if endpoint is None:
                self.withheld["no endpoint"] += 1
            elif (reason := self._why_not(endpoint.url)) is not None:
                self.withheld[reason] += 1
            else:
                subscription.notifications += 1
                url = self._url(endpoint.url, subscription.id)
                made.append(Notification(self._node, subscription.id, url, endpoint.id))
        return tuple(made)

    def _why_not(self, url: str) -> str | None:
        """Why nothing can be sent to a URL: it is unusable ("url"), or has a port that is not called ("port")."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return "url"
        if parts.scheme not in ("http", "https") or not parts.hostname or "#" in url:
            return "url"  # what is appended behind a fragment is not sent
        ports = self._options.callback_ports
        return None if ports is None or port in ports else "port"

    def _url(self, url: str, subscription: int) -> str:
        joint = "&" if "?" in url else "?"
        return f"{url}{joint}id={subscription}&{self._options.notification_parameter}={EVENT_TYPE}"
