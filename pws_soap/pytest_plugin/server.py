"""A Presence Web Service for tests: the simulator in a thread, on free ports of this machine.

`PwsServer` says where it is and what it was asked, and waits for what happens. `start_server` is for a server that
lives longer than one test.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from pws_soap.pytest_plugin.call_log import CallLog, RecordedCall, RecordedNotification, WaitTimedOut
from pws_soap.pytest_plugin.loop_thread import LoopThread
from pws_soap.pytest_plugin.settings import ServerSettings, settings_from
from pws_soap.server.codes import TEXTS
from pws_soap.server.messages import OPERATIONS
from pws_soap.simulator.cluster.simulator import Simulator
from pws_soap.simulator.office.world import Fields, World
from pws_soap.simulator.options import Options
from pws_soap.simulator.serving import ServedNode, SimulatorServer

_Result = TypeVar("_Result")
PATIENCE: Final = 30.0
"""Seconds after which a wait fails where nobody says: a program on a busy machine may need many for a few calls."""
MOST_PATIENCE: Final = 3600.0
"""The longest wait, in seconds."""
NAMESPACE: Final = "urn:cisco:cup:presence:soap"


@dataclass(frozen=True, slots=True)
class HeldSubscription:
    """A subscription as a node has it. `pending` are the contacts that the next fetch returns.

    `expires_in` is in seconds. `silent`: a notification was made, and no other follows before the next fetch.
    """

    node: str
    id: int
    user: str
    endpoint: int
    contacts: tuple[str, ...]
    pending: tuple[str, ...]
    expires_in: float
    silent: bool


class PwsServer:
    """A running server: its address, who may log in, what it was asked, and waits for what it will be asked.

    All of it may be used from any thread. Waits hold up the thread that waits; in a coroutine they are called as
    `await asyncio.to_thread(pws_server.wait_for_fetch)`.
    """

    def __init__(
        self, thread: LoopThread, settings: ServerSettings, tls: ssl.SSLContext | None, ca_file: Path | None
    ) -> None:
        options = settings.options
        world = World(case_sensitive=options.case_sensitive_contacts)
        self._thread = thread
        self._log = CallLog(world.contact_key)
        self._simulator = Simulator(options, nodes=settings.nodes, world=world, seed=settings.seed, observer=self._log)
        self._contacts = settings.contacts
        self._invented = settings.invented
        self._server = SimulatorServer(nodes=settings.nodes, control_port=None, tls=tls, simulator=self._simulator)
        self.options: Final[Options] = options
        """What kind of server it is (docs/simulator.md, Options)."""
        self.ca_file: Final = ca_file
        """The authority of its certificate, as a PEM file; None where it does not speak TLS."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(node.url for node in self.nodes)})"

    def open(self) -> None:
        """Listen, with the contacts there; the fixture has done it."""
        self._thread.run(self._server.__aenter__())
        fields: dict[str, Fields] = {contact: {"state": state} for contact, state in self._contacts.items()}
        self._thread.call(lambda: (self._simulator.populate(self._invented), self._simulator.change_many(fields)))

    def close(self) -> None:
        """Break all connections and stop listening; the fixture does it."""
        self._thread.run(self._server.__aexit__(None, None, None))

    # Where it is, and who may log in

    @property
    def nodes(self) -> tuple[ServedNode, ...]:
        """The nodes: each has `name`, `host`, `port`, `address` (`host:port`), `base_url` and `url`."""
        return self._server.nodes

    @property
    def url(self) -> str:
        """The URL of the SOAP service at the first node."""
        return self.nodes[0].url

    @property
    def base_url(self) -> str:
        """Scheme, host and port of the first node; `PwsClient` takes it."""
        return self.nodes[0].base_url

    @property
    def wsdl_url(self) -> str:
        """The URL of the WSDL at the first node. As on the real server, the address in the WSDL is not the server's."""
        return f"{self.url}?wsdl"

    @property
    def binding(self) -> str:
        """The qualified name of the WSDL's binding, which zeep's `Client.create_service` wants with `url`."""
        return f"{{{NAMESPACE}}}PresenceSoapBinding"

    @property
    def host(self) -> str:
        """The host of the first node: 127.0.0.1."""
        return self.nodes[0].host

    @property
    def port(self) -> int:
        """The port of the first node."""
        return self.nodes[0].port

    @property
    def username(self) -> str:
        """The first application user. Raises LookupError if the option `users` has none."""
        return self._application_user()[0]

    @property
    def password(self) -> str:
        """The password of that user."""
        return self._application_user()[1]

    @property
    def end_user(self) -> str:
        """The first end user. Raises LookupError if the option `users` has none."""
        for user in self.options.users:
            if not user.application:
                return user.name
        raise LookupError("the option users has no end user")

    def _application_user(self) -> tuple[str, str]:
        for user in self.options.users:
            if user.application:
                return user.name, user.password or ""
        raise LookupError("the option users has no application user")

    # What it has been asked, and what it holds

    @property
    def calls(self) -> tuple[RecordedCall, ...]:
        """All calls since the start or `clear_log`, refused and lost ones too, in the order in which they were read."""
        return self._thread.call(lambda: self._log.calls)

    def calls_of(self, operation: str) -> tuple[RecordedCall, ...]:
        """The calls of one operation of the WSDL, or `unreadable`. Raises ValueError for any other name."""
        _check_operation(operation)
        return tuple(call for call in self.calls if call.operation == operation)

    @property
    def notifications(self) -> tuple[RecordedNotification, ...]:
        """All notifications sent or dropped since the start or `clear_log`, in the order in which they ended."""
        return self._thread.call(lambda: self._log.notifications)

    @property
    def subscriptions(self) -> tuple[HeldSubscription, ...]:
        """The subscriptions that there are now, at all nodes."""
        return self._thread.call(self._subscriptions)

    @property
    def withheld(self) -> dict[str, int]:
        """How many notifications were not made, by reason.

        `latch`: one was made since the last fetch. `no endpoint`, `url`, `port`: there is none to send it to, or it
        cannot be called (`callback_ports`). `cpu`: the load. `node down`, `node hung`.
        """
        return self._thread.call(self._withheld)

    def clear_log(self) -> None:
        """Forget calls, notifications and what clients were told of contacts, so that waits see only what comes."""
        self._thread.call(self._log.clear)

    # Time

    @property
    def now(self) -> float:
        """The server's time, in seconds since 1970."""
        return self._thread.call(self._simulator.now)

    def move_clock(self, seconds: float) -> None:
        """Move the server's time, on or back; what has expired by then is gone at once. No other clock moves.

        Raises ValueError for a time before 1970 or after 2999.
        """
        self.call(lambda simulator: simulator.move_clock(seconds))

    # Waiting

    def wait_for_call(self, operation: str, *, count: int = 1, timeout: float = PATIENCE) -> RecordedCall:
        """The `count`th call of an operation, counted since the start or `clear_log`, as soon as it was read.

        Calls that were refused, lost or are pending count. `timeout` is in seconds, above 0, at most 3600. Raises
        WaitTimedOut (an AssertionError), ValueError for an unknown operation, RuntimeError inside a running event loop.
        """
        __tracebackhide__ = True
        _check_operation(operation)
        return self._nth(
            f"call of {operation}",
            count,
            timeout,
            lambda: _of(self._log.calls, lambda call: call.operation == operation),
        )

    def wait_for_refusal(
        self, code: int, *, operation: str | None = None, count: int = 1, timeout: float = PATIENCE
    ) -> RecordedCall:
        """The `count`th call, of one operation or of any, that was refused with a code (docs/protocol.md, section 3).

        Otherwise as `wait_for_call`; raises ValueError for a code that the server does not have, too.
        """
        __tracebackhide__ = True
        if code not in TEXTS:
            raise ValueError(f"code: expected one of {', '.join(map(str, sorted(TEXTS)))}, got {code!r}")
        if operation is not None:
            _check_operation(operation)

        def matches(call: RecordedCall) -> bool:
            return call.code == code and operation in (None, call.operation)

        what = f"refusal with {code}" + ("" if operation is None else f" of {operation}")
        return self._nth(what, count, timeout, lambda: _of(self._log.calls, matches))

    def wait_for_fetch(
        self, *, subscription: int | None = None, count: int = 1, timeout: float = PATIENCE
    ) -> RecordedCall:
        """The `count`th getSubscribedPresence that succeeded, of one subscription or of any.

        Its reply has been handed to the connection; the client may still be reading it. Otherwise as `wait_for_call`.
        """
        __tracebackhide__ = True

        def matches(call: RecordedCall) -> bool:
            own = subscription in (None, call.arguments.get("subscription"))
            return call.operation == "getSubscribedPresence" and call.succeeded and own

        what = "successful fetch" + ("" if subscription is None else f" of subscription {subscription}")
        return self._nth(what, count, timeout, lambda: _of(self._log.calls, matches))

    def wait_for_notification(
        self, *, subscription: int | None = None, count: int = 1, timeout: float = PATIENCE
    ) -> RecordedNotification:
        """The `count`th notification that its endpoint answered, of one subscription or of any.

        Otherwise as `wait_for_call`.
        """
        __tracebackhide__ = True

        def matches(notification: RecordedNotification) -> bool:
            return notification.outcome == "answered" and subscription in (None, notification.subscription)

        what = "answered notification" + ("" if subscription is None else f" of subscription {subscription}")
        return self._nth(what, count, timeout, lambda: _of(self._log.notifications, matches))

    def wait_for_subscription(self, contact: str | None = None, *, timeout: float = PATIENCE) -> HeldSubscription:
        """The first subscription with a contact, or with any, as soon as there is one. Otherwise as `wait_for_call`."""
        __tracebackhide__ = True
        key = None if contact is None else self._simulator.world.contact_key(contact)

        def find() -> HeldSubscription | None:
            keys = self._simulator.world.contact_key
            held = (each for each in self._subscriptions() if key is None or key in map(keys, each.contacts))
            return next(held, None)

        return self.wait("subscription" if contact is None else f"subscription with {contact}", find, timeout)

    def _nth(self, what: str, count: int, timeout: float, found: Callable[[], list[_Result]]) -> _Result:
        __tracebackhide__ = True
        if count < 1:
            raise ValueError(f"count: expected at least 1, got {count!r}")
        what = what if count == 1 else f"{what} number {count}"

        def find() -> _Result | None:
            so_far = found()
            return so_far[count - 1] if len(so_far) >= count else None

        return self.wait(what, find, timeout)

    # For the other fixtures

    def call(self, function: Callable[[Simulator], _Result]) -> _Result:
        """The result of a function of the simulator, called in the server's thread; all waits look again.

        For what the fixtures do not offer, such as `pws_server.call(lambda simulator: simulator.world.changes)`.
        """

        def called() -> _Result:
            result = function(self._simulator)
            self._log.changed()
            return result

        return self._thread.call(called)

    def settle(self) -> None:
        """Wait until nodes that were brought back listen again, a few milliseconds."""
        self._thread.run(self._server.settled())

    def wait(self, what: str, find: Callable[[], _Result | None], timeout: float = PATIENCE) -> _Result:
        """What `find` returns, as soon as it is not None; it is called in the server's thread after all that happens.

        Raises as `wait_for_call` does; the message begins with `no`, then `what`.
        """
        __tracebackhide__ = True
        if not 0 < timeout <= MOST_PATIENCE:
            raise ValueError(f"timeout: expected seconds above 0, at most {MOST_PATIENCE:g}, got {timeout!r}")
        if _in_a_loop():
            raise RuntimeError(
                "a wait would stop the event loop that runs this test, and the client in it: write "
                "await asyncio.to_thread(pws_server.wait_for_..., ...)"
            )

        def timed_out() -> str:
            return f"no {what} within {timeout:g} s\n{self._described()}"

        future = self._thread.call(lambda: self._log.wait(find, timeout, timed_out))
        try:
            return future.result()
        except WaitTimedOut as error:
            late = error
        raise WaitTimedOut(str(late)) from None  # with a traceback that begins here

    def told(self, contact: str) -> object | None:
        """In the server's thread: what a whole reply last said of a contact."""
        return self._log.told(contact)

    def described(self) -> str:
        """The last calls and notifications, one a line, and what was withheld."""
        return self._thread.call(self._described)

    def _described(self) -> str:
        lines = [self._log.described()]
        withheld = self._withheld()
        if withheld:
            reasons = ", ".join(f"{count} ({reason})" for reason, count in withheld.items())
            lines.append(f"notifications withheld: {reasons}")
        return "\n".join(lines)

    def _withheld(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for place in self._simulator.places.values():
            total.update(place.node.notifications.withheld)
        return dict(total)

    def _subscriptions(self) -> tuple[HeldSubscription, ...]:
        now = self._simulator.now()
        held: list[HeldSubscription] = []
        for name, place in self._simulator.places.items():
            registry = place.node.registry
            registry.expire(now)
            held += (
                HeldSubscription(
                    name,
                    subscription.id,
                    registry.sessions[subscription.session].user,
                    subscription.endpoint,
                    tuple(subscription.contacts.values()),
                    tuple(subscription.contacts[key] for key in subscription.pending),
                    subscription.expires - now,
                    subscription.silent,
                )
                for subscription in registry.subscriptions.values()
            )
        return tuple(held)


@contextmanager
def start_server(**options: object) -> Iterator[PwsServer]:
    """A server for as long as the `with` lasts, for fixtures of a wider scope. It takes what the marker `pws` takes.

    Raises ValueError that names the option and what was expected.
    """
    settings = settings_from((), options=options)
    thread = LoopThread()
    try:
        with TemporaryDirectory(prefix="pws-") as directory:
            ca_file = Path(directory) / "ca.pem"
            tls = (server_context(ca_file), ca_file) if settings.tls else (None, None)
            with running(thread, settings, *tls) as server:
                yield server
    finally:
        thread.close()


@contextmanager
def running(
    thread: LoopThread, settings: ServerSettings, tls: ssl.SSLContext | None, ca_file: Path | None
) -> Iterator[PwsServer]:
    """A server in a thread that there is; `ca_file` is the authority of its certificate."""
    server = PwsServer(thread, settings, tls, ca_file)
    server.open()
    try:
        yield server
    finally:
        server.close()


def server_context(ca_file: Path) -> ssl.SSLContext:
    """As `certificate.server_context`, which loads cryptography only where a test asks for TLS."""
    from pws_soap.pytest_plugin import certificate

    return certificate.server_context(ca_file)


def _of(entries: tuple[_Result, ...], matches: Callable[[_Result], bool]) -> list[_Result]:
    return [entry for entry in entries if matches(entry)]


def _check_operation(operation: str) -> None:
    known = (*OPERATIONS, "unreadable")
    if operation not in known:
        raise ValueError(f"operation: expected one of {', '.join(known)}, got {operation!r}")


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
