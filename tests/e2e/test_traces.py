"""Traces of OpenTelemetry from a notification to its events, and nothing of it where it is not asked for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider, SpanContext, SpanKind, StatusCode

from pws_soap.models import Secret
from pws_soap.simulator import Fault, SimulatorServer
from service.config import load
from service.core.events.event import Event
from service.core.tracing import ID_TRACER, Tracer, current_trace
from service.logs.redaction import HIDDEN, Redactor
from service.runtime.assembly import Assembly, assemble
from service.runtime.otel import OtelTracer
from service.runtime.server import listen, serve
from tests.e2e.simulated import Service, configure
from tests.support.asgi import call
from tests.support.bare_service import SECRET as PATH_SECRET
from tests.support.people import ANN, bearer, guarded

WATCH: Final = 'domain = "example.com"\ncontacts = ["ann", "joe", "rita"]\npresence_type = "RICH_PRESENCE"'


class Memory:
    """A tracer that keeps its spans in memory."""

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = OtelTracer(redact, self.provider)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """Those that have ended, in the order of their beginnings."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)


def _context(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


@asynccontextmanager
async def running(directory: Path, server: SimulatorServer, tracer: Tracer) -> AsyncIterator[Assembly]:
    """A service in this process, which has read everybody once and been notified."""
    site = configure(directory, server.nodes[0].port, watch=WATCH)
    assembly = assemble(load(directory / "pws.toml", {}), tracer=tracer)
    stop = asyncio.Event()
    sock = listen("127.0.0.1", site.port)
    serving = asyncio.create_task(serve(assembly.app, sock, stop, closing=assembly.let_go))
    try:
        await _until(assembly, lambda: assembly.store.summary().read == 3)
        yield assembly
    finally:
        stop.set()
        await serving


async def _until(assembly: Assembly, check: Callable[[], bool]) -> None:
    """Wait for events until it is so."""
    async with asyncio.timeout(30):
        while not check():
            last = assembly.core.log.last
            await assembly.core.log.wait_for_event(last)


async def _changes(server: SimulatorServer, assembly: Assembly, note: str) -> Event:
    """Change Ann's note, which nobody else has; the event that tells of it."""
    told: list[Event] = []

    def follow(events: Sequence[Event]) -> None:
        told.extend(event for event in events if _note(event) == note)

    stop = assembly.core.log.follow(follow)
    server.simulator.change("ann@example.com", note=note)
    await _until(assembly, lambda: bool(told))
    stop()
    return told[0]


def _note(event: Event) -> str | None:
    presence = event.after.contact.record.presence if event.after is not None else None
    return None if presence is None else presence.note


async def test_a_trace_leads_from_the_notification_over_the_fetch_to_the_event(tmp_path: Path) -> None:
    """The notification is its root; each span is below the one that has led to it."""
    memory = Memory()
    async with SimulatorServer(control_port=None) as server:
        server.simulator.populate(3)
        async with running(tmp_path, server, memory.tracer) as assembly:
            event = await _changes(server, assembly, "at the dentist")
    spans = {_context(span).span_id: span for span in memory.spans}
    (events,) = [span for span in memory.spans if (span.attributes or {}).get("pws.last_id") == event.id]
    assert events.parent is not None
    fetch = spans[events.parent.span_id]
    assert fetch.parent is not None
    notification = spans[fetch.parent.span_id]
    assert [span.name for span in (notification, fetch, events)] == ["notification", "fetch", "events"]
    assert notification.parent is None
    assert len({_context(span).trace_id for span in (notification, fetch, events)}) == 1
    assert (notification.kind, fetch.kind, events.kind) == (SpanKind.SERVER, SpanKind.CLIENT, SpanKind.INTERNAL)
    assert dict(fetch.attributes or {}) == {
        "pws.subscription": 1,
        "pws.node": f"http://127.0.0.1:{server.nodes[0].port}",
    }
    assert {span.status.status_code for span in memory.spans} == {StatusCode.UNSET}
    assert not [span for span in memory.spans if span.events]  # no tracebacks


async def test_a_fetch_that_fails_is_an_error_of_its_span(tmp_path: Path) -> None:
    memory = Memory()
    async with SimulatorServer(control_port=None) as server:
        server.simulator.populate(3)
        async with running(tmp_path, server, memory.tracer) as assembly:
            server.simulator.faults.add(Fault("garble-reply", operation="getSubscribedPresence", count=1))
            await _changes(server, assembly, "back")
    failed = [span for span in memory.spans if span.status.status_code is StatusCode.ERROR]
    assert {span.name for span in failed} == {"fetch"}
    assert "getSubscribedPresence" in str(failed[0].status.description)


def test_an_error_shows_no_secret_and_no_traceback() -> None:
    memory = Memory(Redactor([Secret("hunter22")]))
    traces = []

    def fail() -> None:
        with memory.tracer.span("poll", subscription=1) as trace:
            assert current_trace() is trace
            traces.append(trace)
            raise ValueError("hunter22")

    with pytest.raises(ValueError, match="hunter22"):
        fail()
    (trace,), (span,) = traces, memory.spans
    assert span.status.description == f"ValueError: {HIDDEN}"
    assert not span.events
    assert trace.id == f"{_context(span).trace_id:032x}"


def test_the_ids_lead_on_where_no_sdk_is_installed() -> None:
    """The API alone makes no spans; the log has its ids all the same."""
    tracer = OtelTracer(str, NoOpTracerProvider())
    with tracer.span("notification") as trace:
        tracer.failed(ValueError())
    with tracer.span("fetch", trace) as other:
        assert other.id == trace.id
    with tracer.span("fetch") as another:
        assert another.id != trace.id
    with ID_TRACER.span("fetch"):
        tracer.failed(ValueError("outside"))
    tracer.failed(ValueError("outside of all"))


IMPORTS: Final = """
import importlib, pkgutil, sys, traceback

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            frames = [frame.filename for frame in traceback.extract_stack() if "importlib" not in frame.filename]
            importers.add(frames[-2])

importers = set()
sys.meta_path.insert(0, Watch())
sys.modules["redis"] = None  # it looks for the package, for figures of its own, which are off
import pws_soap, service
for package in (pws_soap, service):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name == "service.runtime.otel" or module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "redis":
                raise
print(len(sys.modules), *importers, sep="\\n")
assert "service.runtime.otel" not in sys.modules
assert "opentelemetry.sdk" not in sys.modules
"""
"""Imports all but the one module, and prints which files import OpenTelemetry meanwhile."""


@pytest.mark.long(ci=True)
def test_nothing_of_ours_imports_it_without_being_asked() -> None:
    """FastAPI may, for traces of its own, which are off."""
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True)
    count, *importers = done.stdout.split()
    assert int(count) > 300
    assert not [name for name in importers if "/fastapi/" not in name and "/opentelemetry/" not in name]


def test_a_service_without_the_package_says_what_to_install(tmp_path: Path) -> None:
    configure(tmp_path, 9)
    with (tmp_path / "pws.toml").open("a") as file:
        file.write("\n[otel]\nenabled = true\n")
    program = "import sys; sys.modules['service.runtime.otel'] = None; from service.cli import main; main()"
    words = [sys.executable, "-c", program, "serve"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'pws-presence[otel]'" in done.stderr


async def test_the_framework_traces_nothing_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its spans would hold the callback's path and contacts, where an SDK is installed for the whole program."""
    memory = Memory()
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: memory.provider)
    office = guarded()
    for target in (f"/pws/{PATH_SECRET}?id=1&eventType=PRESENCE_NOTIFICATION", f"/v1/presence/{ANN}?explain=true"):
        assert (await call(office.app, "GET", target, headers=bearer("root"))).status == 200
    assert not memory.spans


async def test_a_service_with_it_runs_without_an_sdk(tmp_path: Path) -> None:
    async with SimulatorServer(control_port=None) as server:
        server.simulator.populate(3)
        site = configure(tmp_path, server.nodes[0].port)
        with (tmp_path / "pws.toml").open("a") as file:
            file.write("\n[otel]\nenabled = true\n")
        with Service(tmp_path, site) as service:
            await asyncio.to_thread(service.ready)
            assert await asyncio.to_thread(service.stop) == 0
