"""What import-linter cannot see of the walls that pyproject.toml draws: clocks, sockets, random sources, zeep, names.

Who imports whom is checked by `lint-imports`.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import pws_soap
import pws_soap.pytest_plugin

ROOT = Path(__file__).parents[1]

VALUES = {"pws_soap.codes", "pws_soap.contact", "pws_soap.models", "pws_soap.errors"}
DECISIONS = {
    "pws_soap.arguments",
    "pws_soap.codec",
    "pws_soap.contract",
    "pws_soap.entries",
    "pws_soap.kept_replies",
    "pws_soap.envelope",
    "pws_soap.lifecycle",
    "pws_soap.markup",
    "pws_soap.notification",
    "pws_soap.pidf",
    "pws_soap.replies",
    "pws_soap.surroundings",
}
SERVER = {"pws_soap.server"}
SIMULATOR = {"pws_soap.simulator"}
PURE_SERVER = {
    "pws_soap.server.codes",
    "pws_soap.server.http_reply",
    "pws_soap.server.messages",
    "pws_soap.server.node",
    "pws_soap.server.options",
    "pws_soap.server.ports",
    "pws_soap.server.presence",
    "pws_soap.server.soap",
}
PURE_SIMULATOR = {
    "pws_soap.simulator.bounds",
    "pws_soap.simulator.faults.damage",
    "pws_soap.simulator.faults.entries",
    "pws_soap.simulator.faults.gateway",
    "pws_soap.simulator.faults.reply",
    "pws_soap.simulator.office.source",
    "pws_soap.simulator.office.world",
    "pws_soap.simulator.option_values",
    "pws_soap.simulator.options",
    "pws_soap.simulator.scripts.contact_values",
}

WORLD = {"aiohttp", "asyncio", "socket", "ssl", "selectors", "subprocess", "threading", "multiprocessing", "concurrent"}
WORLD |= {
    "time",
    "random",
    "secrets",
    "uuid",
    "os",
    "signal",
    "sched",
    "http",
    "requests",
    "httpx",
    "uvloop",
    "logging",
}
"""What a decision must not know: sockets, clocks, random sources, processes, the environment."""
WEB = {"fastapi", "starlette", "uvicorn", "pydantic", "click", "rich", "httptools"}

NAMES_OF_TWO_CLASSES = {
    "Device",
    "Endpoint",
    "Fault",
    "Notification",
    "Presence",
    "RequestRefused",
    "Session",
    "State",
    "Subscription",
}
"""Each has its reason in docs/contributing.md; there are never more than ten."""

CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "perf_counter"}


class Modules(Mapping[str, ast.Module]):
    """The modules of a package by their names, parsed when a test asks: every worker of every run imports this file."""

    def __init__(self, package: str) -> None:
        self._package = package

    @functools.cached_property
    def _parsed(self) -> dict[str, ast.Module]:
        found: dict[str, ast.Module] = {}
        for path in sorted((ROOT / self._package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text(), str(path))
        return found

    def __getitem__(self, name: str) -> ast.Module:
        return self._parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed)

    def __len__(self) -> int:
        return len(self._parsed)


PWS_SOAP = Modules("pws_soap")
SERVICE = Modules("service")


@functools.cache
def imports(tree: ast.Module) -> tuple[str, ...]:
    """Whatever a module imports, also inside functions: `a.b` for `from a import b` where that is a module."""
    return tuple(_imports(tree))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used here"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in PWS_SOAP or whole in SERVICE else str(node.module)


def within(name: str, places: set[str]) -> bool:
    """Whether a module is one of `places` or lies inside one."""
    return any(name == place or name.startswith(place + ".") for place in places)


def top(name: str) -> str:
    return name.partition(".")[0]


def forbidden(of: set[str], banned: set[str]) -> list[str]:
    """The imports of the modules in `of` that are, or lie in, one of `banned`."""
    return [
        f"{name} imports {each}"
        for name, tree in {**PWS_SOAP, **SERVICE}.items()
        if within(name, of)
        for each in imports(tree)
        if within(each, banned)
    ]


def clocks(tree: ast.Module) -> list[str]:
    """Calls that ask for the time, such as `datetime.now()`."""
    return [
        f"{ast.unparse(node)} in line {node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
        and ast.unparse(node.func.value) in {"datetime", "date", "time", "datetime.datetime", "datetime.date"}
    ]


def test_values_import_nothing_but_values() -> None:
    """And beside them only what is needed to write them down."""
    allowed = {"__future__", "collections", "dataclasses", "datetime", "enum", "msgspec", "operator", "re", "typing"}
    allowed |= {"functools", "ipaddress", "unicodedata"}  # contact's
    for name in VALUES:
        assert {top(each) for each in imports(PWS_SOAP[name]) if each not in VALUES} <= allowed
    assert "pws_soap.errors" not in set(imports(PWS_SOAP["pws_soap.models"]))


def test_decisions_know_no_world() -> None:
    """No I/O, no clock, no random source, no framework."""
    assert not forbidden(VALUES | DECISIONS, WORLD | WEB)


def test_decisions_do_not_ask_for_the_time() -> None:
    """It is an argument."""
    assert not [
        f"{name}: {call}"
        for name, tree in PWS_SOAP.items()
        if within(name, VALUES | DECISIONS)
        for call in clocks(tree)
    ]


def test_server_answers_without_a_world() -> None:
    """What a node keeps, reads and writes, and what faults do to bytes: no socket, no clock, no random source."""
    assert not forbidden(PURE_SERVER | PURE_SIMULATOR, WORLD | WEB)
    assert not [
        f"{name}: {call}"
        for name, tree in PWS_SOAP.items()
        if within(name, PURE_SERVER | PURE_SIMULATOR)
        for call in clocks(tree)
    ]


def test_random_sources_of_server_and_simulator() -> None:
    """Each is seeded, but for the session keys of a server that is given none."""
    users = {name for name, tree in PWS_SOAP.items() if {top(each) for each in imports(tree)} & {"random", "secrets"}}
    assert {name for name in users if within(name, SERVER | SIMULATOR)} == {
        "pws_soap.server.http.service",
        "pws_soap.simulator.cluster.nodes",
        "pws_soap.simulator.faults.kinds",
        "pws_soap.simulator.office.people",
        "pws_soap.simulator.scripts.office_day",
    }


def test_server_and_simulator_ask_no_clock() -> None:
    """It is given to them."""
    assert not [
        f"{name}: {call}"
        for name, tree in PWS_SOAP.items()
        if within(name, SERVER | SIMULATOR)
        for call in clocks(tree)
    ]


def test_zeep_is_touched_in_two_places() -> None:
    """The contract loads the WSDL, the codec uses it: nobody else knows zeep."""
    users = {name for name, tree in PWS_SOAP.items() if any(top(each) == "zeep" for each in imports(tree))}
    assert users == {"pws_soap.contract", "pws_soap.codec"}
    assert not forbidden({"service"}, {"zeep"})


def test_sockets_of_the_library_are_in_one_place() -> None:
    """They are the transport's; what concerns TLS alone has modules of its own. The server has its own, and closes
    them with the service's; the simulator and the plugin of pytest hand TLS through."""
    sockets = {"aiohttp", "socket", "ssl"}
    users = {name for name, tree in PWS_SOAP.items() if any(top(each) in sockets for each in imports(tree))}
    assert users == {
        "pws_soap.certificate",
        "pws_soap.listening",
        "pws_soap.tls_problem",
        "pws_soap.transport",
        "pws_soap.trust",
        "pws_soap.x509",
        "pws_soap.server.http.listener",
        "pws_soap.server.http.notifier",
        "pws_soap.simulator.serving",
        "pws_soap.pytest_plugin",
        "pws_soap.pytest_plugin.certificate",
        "pws_soap.pytest_plugin.server",
    }


def test_importing_the_package_loads_nothing() -> None:
    """`import pws_soap` names the client without loading it, and pytest loads the plugin without the simulator."""
    for name in ("pws_soap", "pws_soap.pytest_plugin"):
        at_once = {str(node.module) for node in PWS_SOAP[name].body if isinstance(node, ast.ImportFrom)}
        assert not {each for each in at_once if top(each) == "pws_soap"}


def test_every_name_of_the_package_is_there() -> None:
    """What is imported when it is first asked for: no name without a home, and `dir` has them all."""
    for package in (pws_soap, pws_soap.pytest_plugin):
        assert all(getattr(package, name) is not None for name in package.__all__)
        with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
            package.Nonsense  # noqa: B018  # the asking is the test
    assert set(pws_soap.__all__) <= set(dir(pws_soap))


def test_core_knows_no_world() -> None:
    """No socket, no file, no random source. One module reads the clock, two make ids, and a few wait."""
    found = {name: {top(each) for each in imports(SERVICE[name])} & (WORLD - {"logging"}) for name in SERVICE}
    assert {name: worlds for name, worlds in found.items() if worlds and within(name, {"service.core"})} == {
        "service.core.clock": {"asyncio", "time"},
        "service.core.claims.service": {"asyncio", "secrets"},
        "service.core.events.followers": {"asyncio"},
        "service.core.events.log": {"asyncio"},
        "service.core.tracing": {"secrets"},
        "service.core.wakeup": {"asyncio"},
    }


def test_imports_inside_functions_are_few() -> None:
    """For commands, and where there are no fixtures of the plugin, no webhooks: nowhere do they hide a circle."""
    inside = {
        name
        for name, tree in {**PWS_SOAP, **SERVICE}.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function))
    }
    assert {name for name in inside if not within(name, {"service.cli"})} == {
        "pws_soap.pytest_plugin",
        "pws_soap.pytest_plugin.server",
        "service.runtime.assembly",
    }


def test_what_waits_for_a_target_is_decided_without_a_world() -> None:
    """The queue, the pauses and what a message is: no socket, no clock, no task, no random source."""
    pure = {
        f"service.webhooks.{name}" for name in ("lanes", "message", "queue", "retries", "settings", "subjects", "view")
    }
    assert pure < set(SERVICE)
    assert not forbidden(pure, WORLD | WEB)
    assert not [f"{name}: {call}" for name in pure for call in clocks(SERVICE[name])]


def test_webhooks_are_imported_where_there_are_targets() -> None:
    """By one module of the runtime, which the assembly imports inside a function; nobody else pays for them."""
    room = {name for name in SERVICE if within(name, {"service.webhooks"})}
    users = {name for name, tree in SERVICE.items() if name not in room and room & set(imports(tree))}
    assert {name for name in users if not within(name, {"service.cli"})} == {
        "service.runtime.assembly",
        "service.runtime.webhooks",
    }
    loaded = "import sys, service.runtime.assembly; print([name for name in sys.modules if name.startswith(%r)])"
    for package in ("service.webhooks", "cloudevents", "standardwebhooks"):
        found = subprocess.run([sys.executable, "-c", loaded % package], capture_output=True, text=True, check=True)
        assert found.stdout == "[]\n"


def test_the_facade_is_imported_where_there_is_one() -> None:
    """By one module of the runtime, which the assembly imports inside a function; so is the server's half of SOAP."""
    room = {name for name in SERVICE if within(name, {"service.facade"})}
    users = {name for name, tree in SERVICE.items() if name not in room and room & set(imports(tree))}
    assert {name for name in users if not within(name, {"service.cli"})} == {
        "service.runtime.assembly",  # for its type
        "service.runtime.facade",
    }
    loaded = "import sys, service.runtime.assembly; print([name for name in sys.modules if name.startswith(%r)])"
    for package in ("service.facade", "pws_soap.server"):
        found = subprocess.run([sys.executable, "-c", loaded % package], capture_output=True, text=True, check=True)
        assert found.stdout == "[]\n"


def test_opentelemetry_is_imported_where_it_is_asked_for() -> None:
    """By one module, which one command imports inside a function."""
    users = {name for name, tree in SERVICE.items() if any(top(each) == "opentelemetry" for each in imports(tree))}
    assert users == {"service.runtime.otel"}
    assert not any(top(each) == "opentelemetry" for tree in PWS_SOAP.values() for each in imports(tree))
    found = {name for name, tree in SERVICE.items() if "service.runtime.otel" in set(imports(tree))}
    at_once = {node.module for node in SERVICE["service.cli.commands.serve"].body if isinstance(node, ast.ImportFrom)}
    assert found == {"service.cli.commands.serve"}
    assert "service.runtime.otel" not in at_once


def test_replicas_decide_without_a_world() -> None:
    """The lease, the clocks, the members, the format and the scripts: no socket, no clock, no random source."""
    pure = {"clock_mapping", "engine", "forms", "lease", "localized", "members"}
    pure |= {"redis_replies", "scripts", "tables", "tenures", "upstream", "wire"}
    names = {"service.core.engine_address", *(f"service.cluster.{name}" for name in pure)}
    assert not forbidden(names, (WORLD | WEB) - {"http"})
    assert not [call for name in names for call in clocks(SERVICE[name])]


def test_the_engine_of_replicas_is_imported_where_it_is_asked_for() -> None:
    """One module knows the package `redis`, which is an extra, and nobody needs that module to start."""
    for tree, users in ((PWS_SOAP, set[str]()), (SERVICE, {"service.cluster.redis_connections"})):
        assert {name for name in tree if any(top(each) == "redis" for each in imports(tree[name]))} == users
    ways = (("redis_connections", "service.cluster.redis_engine"), ("redis_engine", "service.runtime.replicas"))
    for module, importer in ways:
        assert [name for name in SERVICE if f"service.cluster.{module}" in set(imports(SERVICE[name]))] == [importer]
    loaded = "import sys, service.runtime.assembly; print([name for name in sys.modules if name.startswith(%r)])"
    for package in ("service.cluster", "redis", "service.runtime.repl"):
        found = subprocess.run([sys.executable, "-c", loaded % package], capture_output=True, text=True, check=True)
        assert found.stdout == "[]\n"


def test_the_schedule_of_fetches_is_pure() -> None:
    """What is due is decided from values: no clock, no task, no random source, and nothing that has them."""
    used = set(imports(SERVICE["service.sync.schedule"]))
    assert {each for each in used if top(each) in {"pws_soap", "service"}} == {"pws_soap.lifecycle"}
    assert {top(each) for each in used} <= {"__future__", "collections", "dataclasses", "enum", "typing", "pws_soap"}


def test_service_asks_one_clock() -> None:
    """So that a day of it can be run in a test of milliseconds."""
    asking = {name: clocks(tree) for name, tree in SERVICE.items() if name != "service.core.clock"}
    assert not {name: calls for name, calls in asking.items() if calls and not within(name, {"service.cli"})}


def test_class_names_are_unique() -> None:
    """A class is found by its name. Those that two classes share are few, and each is argued for."""
    places: dict[str, list[str]] = {}
    for name, tree in {**PWS_SOAP, **SERVICE}.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(name)
    assert {name for name, modules in places.items() if len(modules) > 1} == NAMES_OF_TWO_CLASSES
    assert len(NAMES_OF_TWO_CLASSES) <= 10
    section = (ROOT / "docs/contributing.md").read_text().partition("## Names of two classes")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == NAMES_OF_TWO_CLASSES


def test_everything_that_is_imported_is_declared() -> None:
    """Only the standard library, ourselves, and what pyproject.toml names, for everybody or in an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {str(re.split(r"[^\w-]", each)[0]).replace("-", "_").lower() for each in wanted}
    known = names | {"pws_soap", "service", *sys.stdlib_module_names}
    known |= {"pydantic_core", "opentelemetry"}  # parts of pydantic and opentelemetry-api
    unknown = {top(each): name for name, tree in {**PWS_SOAP, **SERVICE}.items() for each in imports(tree)}
    assert not {each: name for each, name in unknown.items() if each not in known}
