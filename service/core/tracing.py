"""One id leads from a notification to the fetch that it causes, to the changes found and to the events told of them.

Whatever runs inside a span has its trace, tasks that it starts included; the log writes its id into each line. Which
spans there are is decided where the work is done. A `Tracer` may report them elsewhere (`runtime.otel`); by default
there are ids, and nothing is reported.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Protocol

_trace: ContextVar[Trace | None] = ContextVar("pws_trace", default=None)


@dataclass(frozen=True, slots=True)
class Trace:
    """What belongs together. `id` is 32 hexadecimal digits; `span` is the tracer's own, under which the next one is."""

    id: str
    span: object = field(default=None, repr=False, compare=False)


def current_trace() -> Trace | None:
    """The trace of the span that this code runs in; None outside of all spans."""
    return _trace.get()


def new_trace() -> Trace:
    """A trace that nothing belongs to yet."""
    return Trace(secrets.token_hex(16))


@contextmanager
def within(trace: Trace) -> Iterator[Trace]:
    """Whatever runs inside belongs to `trace`."""
    token = _trace.set(trace)
    try:
        yield trace
    finally:
        _trace.reset(token)


class Tracer(Protocol):
    """Begins spans."""

    def span(self, name: str, trace: Trace | None = None, **attributes: str | int) -> AbstractContextManager[Trace]:
        """A span of `trace`, by default of the current trace, else of a new one. What is raised inside is its error."""
        ...

    def failed(self, error: BaseException) -> None:
        """The work of the current span has failed, where nothing is raised."""
        ...


class IdTracer:
    """Gives ids, and reports nothing."""

    def span(self, name: str, trace: Trace | None = None, **attributes: str | int) -> AbstractContextManager[Trace]:
        """See Tracer."""
        return within(trace or current_trace() or new_trace())

    def failed(self, error: BaseException) -> None:
        """See Tracer."""


ID_TRACER: Final = IdTracer()
"""The one that is used where none is given."""
