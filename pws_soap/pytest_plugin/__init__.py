"""The plugin of pytest: fixtures with a Presence Web Service to test against, whatever the client is (docs/pytest.md).

Fixtures, marker and setting are decided here; what they give is in `server`, `office` and `faults`. pytest loads this
module in every run, so the simulator is imported by the first test that asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from pws_soap.pytest_plugin.call_log import RecordedCall, RecordedNotification, WaitTimedOut
    from pws_soap.pytest_plugin.faults import InjectedFault, PwsFaults
    from pws_soap.pytest_plugin.loop_thread import LoopThread
    from pws_soap.pytest_plugin.office import PwsOffice
    from pws_soap.pytest_plugin.server import HeldSubscription, PwsServer, start_server

__all__ = [
    "HeldSubscription",
    "InjectedFault",
    "PwsFaults",
    "PwsOffice",
    "PwsServer",
    "RecordedCall",
    "RecordedNotification",
    "WaitTimedOut",
    "start_server",
]

_HOMES: Final = {
    "call_log": ("RecordedCall", "RecordedNotification", "WaitTimedOut"),
    "faults": ("InjectedFault", "PwsFaults"),
    "office": ("PwsOffice",),
    "server": ("HeldSubscription", "PwsServer", "start_server"),
}
"""The module of each name."""
_SERVER: Final = pytest.StashKey["PwsServer"]()


def __getattr__(name: str) -> Any:  # Any: what a module's attribute is depends on its name
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting `pws_options`."""
    parser.addini(
        "pws_options",
        "options of the server that pws_server starts, one name = value a line, as the marker pws takes them",
        "linelist",
        [],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker `pws` known."""
    config.addinivalue_line(
        "markers",
        "pws(**options): what kind of server the fixture pws_server starts: contacts, nodes, tls, seed, and every "
        "option of the simulator",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the server was asked where a test has failed."""
    report = yield
    server = item.stash.get(_SERVER, None)
    if server is not None and report.failed:
        report.sections.append(("Calls of the Presence Web Service", server.described()))
    return report


@pytest.fixture(scope="session")
def _pws_thread() -> Iterator[LoopThread]:
    from pws_soap.pytest_plugin.loop_thread import LoopThread

    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def _pws_tls(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[ssl.SSLContext, Path]]:
    """Makes the certificate of the run when it is first asked for."""
    from functools import cache

    from pws_soap.pytest_plugin.server import server_context

    @cache
    def made() -> tuple[ssl.SSLContext, Path]:
        ca_file = tmp_path_factory.mktemp("pws") / "ca.pem"
        return server_context(ca_file), ca_file

    return made


@pytest.fixture
def pws_server(
    request: pytest.FixtureRequest,
    _pws_thread: LoopThread,
    _pws_tls: Callable[[], tuple[ssl.SSLContext, Path]],
) -> Iterator[PwsServer]:
    """A Presence Web Service on free ports of 127.0.0.1, for one test.

    The setting `pws_options` and the marker `pws` say what kind of server.
    """
    from pws_soap.pytest_plugin.server import running
    from pws_soap.pytest_plugin.settings import settings_from

    marks = list(request.node.iter_markers("pws"))[::-1]  # the closest last
    wrong = ""
    try:
        settings = settings_from(request.config.getini("pws_options"), marks)
    except ValueError as error:
        wrong = str(error)
    if wrong:  # not inside the except, where the message would come twice
        pytest.fail(wrong, pytrace=False)
    tls = _pws_tls() if settings.tls else (None, None)
    with running(_pws_thread, settings, *tls) as server:
        request.node.stash[_SERVER] = server
        try:
            yield server
        finally:
            del request.node.stash[_SERVER]


@pytest.fixture
def pws_office(pws_server: PwsServer) -> PwsOffice:
    """The people of `pws_server`: sets their presence, and waits until a client was told."""
    from pws_soap.pytest_plugin.office import PwsOffice

    return PwsOffice(pws_server)


@pytest.fixture
def pws_faults(pws_server: PwsServer) -> Iterator[PwsFaults]:
    """What goes wrong at `pws_server`; taken back before fixtures end that were there first."""
    from pws_soap.pytest_plugin.faults import PwsFaults

    faults = PwsFaults(pws_server)
    yield faults
    faults.clear()
