"""Gives spans to OpenTelemetry: the one module that imports it.

It uses the API alone: which SDK there is, and where spans go, is said where the program is started. `pws serve`
imports it only where `otel.enabled` says so. The log's trace id is OpenTelemetry's. What a span says of an error has
passed the log's redactor, and has no traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    TracerProvider,
    get_tracer,
    set_span_in_context,
    use_span,
)

from service import __version__
from service.core.tracing import Trace, current_trace, new_trace, within

_KINDS: Final = {"notification": SpanKind.SERVER, "fetch": SpanKind.CLIENT, "poll": SpanKind.CLIENT}
"""What a span is to others; all else is our own work."""


class OtelTracer:
    """A Tracer. `redact` hides secrets; `provider` is the program's own by default."""

    def __init__(self, redact: Callable[[str], str], provider: TracerProvider | None = None) -> None:
        self._tracer = get_tracer("pws-presence", __version__, provider)
        self._redact = redact

    def span(self, name: str, trace: Trace | None = None, **attributes: str | int) -> AbstractContextManager[Trace]:
        """See Tracer."""
        return self._span(name, trace or current_trace(), attributes)

    @contextmanager
    def _span(self, name: str, trace: Trace | None, attributes: dict[str, str | int]) -> Iterator[Trace]:
        before = None if trace is None else trace.span
        span = self._tracer.start_span(
            str(name),
            # Nothing else is above it: whatever is current here may be another request's.
            set_span_in_context(before, Context()) if isinstance(before, Span) else Context(),
            _KINDS.get(name, SpanKind.INTERNAL),
            {f"pws.{key}": value for key, value in attributes.items()},
        )
        found = span.get_span_context()
        id = f"{found.trace_id:032x}" if found.is_valid else (trace or new_trace()).id  # noqa: A001  # as in Trace
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False), within(Trace(id, span)) as now:
                try:
                    yield now
                except Exception as error:
                    self.failed(error)
                    raise
        finally:
            span.end()

    def failed(self, error: BaseException) -> None:
        """See Tracer."""
        trace = current_trace()
        if trace is not None and isinstance(trace.span, Span):
            trace.span.set_status(Status(StatusCode.ERROR, self._redact(f"{type(error).__name__}: {error}")))
