"""What goes wrong in a test, and is taken back when the test is over."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Literal, Self

from pws_soap.pytest_plugin.server import PATIENCE, PwsServer
from pws_soap.simulator.cluster.simulator import Simulator
from pws_soap.simulator.faults.kinds import NOTIFICATION_FAULTS, REQUEST_FAULTS
from pws_soap.simulator.faults.outages import NodeCondition
from pws_soap.simulator.scripts.actions import inject

_UNDONE: Final = frozenset({"node-down", "node-hang", "cpu", "rate-limit"})
"""What can be undone of what happens to nodes."""


class InjectedFault:
    """A fault that was injected. `undo` takes it back, and so does the end of a `with`.

    What has happened at once (`kill-sessions`, `restart`, `move-clock` ...) stays; `affected` says to how many it did.
    """

    def __init__(
        self, server: PwsServer, fault: str, node: str | None, number: int | None, affected: int | None
    ) -> None:
        self._server = server
        self._node = node
        self._number = number
        self.fault: Final = fault
        """The kind of fault, as docs/simulator.md names it."""
        self.affected: Final = affected
        """How many nodes, sessions or ids it has hit at once; None for faults of requests and notifications."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fault!r}, affected={self.affected})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.undo()

    def undo(self) -> None:
        """Take it back; a second time does nothing."""
        self._server.call(self._undo)
        self._server.settle()

    def _undo(self, simulator: Simulator) -> None:
        if self._number is not None:
            simulator.faults.remove(self._number)
        elif self.fault in _UNDONE:
            _mend(simulator, self.fault, self._node)


class PwsFaults:
    """Injects faults of the simulator, by the names and with the keys of docs/simulator.md."""

    def __init__(self, server: PwsServer) -> None:
        self._server = server

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hits={self.hits})"

    def inject(
        self,
        fault: str,
        *,
        operation: str | None = None,
        node: str | None = None,
        user: str | None = None,
        count: int | None = None,
        probability: float | None = None,
        seconds: float | None = None,
        code: int | None = None,
        form: str | None = None,
        body: Literal["envelope", "bare", "empty"] | None = None,
        fraction: float | None = None,
        percent: float | None = None,
        per_second: int | None = None,
        lasting: float | None = None,
    ) -> InjectedFault:
        """Inject a fault; it stays until it has hit `count` times, `lasting` seconds are over, or the test is.

        `operation` and `node` narrow it, `probability` (0 to 1) makes it chance. `seconds` is how long a delay is,
        `code` a code of the protocol (100 to 212), `fraction` (0 to below 1) how much of a reply is sent, `percent` (0
        to 100) a load. Which fault takes which of them: docs/simulator.md, Faults. `lasting` is `for` there.

        Raises ValueError that names the argument and what was expected; nothing has happened then.
        """
        given: dict[str, Any] = {  # values of every type that a fault has
            "operation": operation, "node": node, "user": user, "count": count, "probability": probability,
            "seconds": seconds, "code": code, "form": form, "body": body, "fraction": fraction, "percent": percent,
            "per_second": per_second, "for": lasting,
        }  # fmt: skip
        values = {"fault": fault} | {name: value for name, value in given.items() if value is not None}
        try:
            injected = self._server.call(lambda simulator: inject(simulator, values))
        except ValueError as error:
            raise ValueError(str(error).replace("for:", "lasting:", 1) if lasting is not None else str(error)) from None
        self._server.settle()  # `node-up` and `restart` bring nodes back
        return InjectedFault(self._server, fault, node, injected.number, injected.affected)

    @property
    def hits(self) -> dict[str, int]:
        """How often each kind of fault of requests and notifications has hit."""
        return self._server.call(lambda simulator: dict(simulator.faults.hits))

    def wait_for_hit(self, fault: str, *, count: int = 1, timeout: float = PATIENCE) -> int:
        """Wait until a fault of requests or notifications has hit `count` times; returns how often it has.

        `timeout` is in seconds, above 0, at most 3600. Raises WaitTimedOut (an AssertionError), ValueError for another
        fault, and RuntimeError inside a running event loop.
        """
        __tracebackhide__ = True
        known = {**REQUEST_FAULTS, **NOTIFICATION_FAULTS}
        if fault not in known:
            raise ValueError(f"fault: expected one of {', '.join(known)}, got {fault!r}")
        hits = self._server.call(lambda simulator: simulator.faults.hits)
        return self._server.wait(
            f"{fault} that hit {count} times", lambda: hits[fault] if hits[fault] >= count else None, timeout
        )

    def clear(self) -> None:
        """Take back all faults: nodes are up, idle and take as many requests as the options say. The clock stays."""
        self._server.call(_clear)
        self._server.settle()


def _clear(simulator: Simulator) -> None:
    simulator.faults.clear()
    for fault in _UNDONE:
        _mend(simulator, fault, None)


def _mend(simulator: Simulator, fault: str, node: str | None) -> None:
    match fault:
        case "cpu":
            simulator.set_cpu(0.0, node=node)
        case "rate-limit":
            simulator.set_rate_limit(simulator.options.requests_per_second, node=node)
        case _:
            for name in simulator.places if node is None else (node,):
                simulator.set_state(name, NodeCondition.UP)
