"""Imports point one way only: docs/architecture.md says which way, and this reads them from the sources.

A module that no layer names fails too, so that a new one has to be given its place.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

VALUES = {"pws_soap.codes", "pws_soap.contact", "pws_soap.models", "pws_soap.errors"}
DECISIONS = {
    "pws_soap.arguments",
    "pws_soap.codec",
    "pws_soap.contract",
    "pws_soap.envelope",
    "pws_soap.lifecycle",
    "pws_soap.notification",
    "pws_soap.pidf",
    "pws_soap.replies",
}
WIRE = {"pws_soap.transport", "pws_soap.connection", "pws_soap.memory"}
LIBRARY = {"pws_soap.calls", "pws_soap.client"}
SIMULATOR = {"pws_soap.simulator"}

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

CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "perf_counter"}


def modules(package: str) -> dict[str, ast.Module]:
    """The modules of a package by their names, parsed."""
    found: dict[str, ast.Module] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text(), str(path))
    return found


PWS_SOAP = modules("pws_soap")
SERVICE = modules("service")


def imports(tree: ast.Module) -> Iterator[str]:
    """Whatever a module imports, also inside functions: `a.b` for `from a import b` where that is a module."""
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


def test_every_module_of_the_library_has_its_layer() -> None:
    """A new module has to say what it may do."""
    layers = VALUES | DECISIONS | WIRE | LIBRARY | SIMULATOR | {"pws_soap"}
    unplaced = [name for name in PWS_SOAP if not within(name, layers - {"pws_soap"}) and name != "pws_soap"]
    assert not unplaced
    assert layers <= set(PWS_SOAP)


def test_values_import_nothing_but_values() -> None:
    """And of the standard library only what is needed to write them down."""
    allowed = {"__future__", "collections", "dataclasses", "datetime", "enum", "re", "typing"}
    allowed |= {"functools", "ipaddress", "unicodedata"}  # contact's
    for name in VALUES:
        assert {top(each) for each in imports(PWS_SOAP[name]) if each not in VALUES} <= allowed
    assert "pws_soap.errors" not in set(imports(PWS_SOAP["pws_soap.models"]))


def test_decisions_know_no_world() -> None:
    """No I/O, no clock, no random source, and no layer above them."""
    assert not forbidden(VALUES | DECISIONS, WORLD | WEB | WIRE | LIBRARY | SIMULATOR | {"service"})


def test_decisions_do_not_ask_for_the_time() -> None:
    """It is an argument."""
    assert not [
        f"{name}: {call}"
        for name, tree in PWS_SOAP.items()
        if within(name, VALUES | DECISIONS)
        for call in clocks(tree)
    ]


def test_zeep_is_touched_in_two_places() -> None:
    """The contract loads the WSDL, the codec uses it: nobody else knows zeep."""
    users = {name for name, tree in PWS_SOAP.items() if any(top(each) == "zeep" for each in imports(tree))}
    assert users == {"pws_soap.contract", "pws_soap.codec"}
    assert not forbidden({"service"}, {"zeep"})


def test_pidf_and_lifecycle_know_neither_soap_nor_each_other() -> None:
    """Each can be used, and read, alone."""
    soap = {f"pws_soap.{name}" for name in ("codec", "contract", "envelope", "replies")}
    assert not forbidden({"pws_soap.pidf"}, soap | {"pws_soap.lifecycle"})
    assert not forbidden({"pws_soap.lifecycle"}, soap | {"pws_soap.pidf", "lxml"})


def test_wire_knows_neither_soap_nor_its_callers() -> None:
    """Bytes to one node and back: that is all."""
    assert not forbidden(WIRE, DECISIONS | LIBRARY | SIMULATOR | WEB | {"zeep", "lxml", "service"})


def test_sockets_of_the_library_are_in_one_place() -> None:
    """aiohttp is the transport's; so are TLS and sockets."""
    users = {
        name
        for name, tree in PWS_SOAP.items()
        if not within(name, SIMULATOR) and any(top(each) in {"aiohttp", "socket", "ssl"} for each in imports(tree))
    }
    assert users == {"pws_soap.transport"}


def test_library_knows_neither_the_service_nor_the_web() -> None:
    """It is usable without both."""
    assert not forbidden(VALUES | DECISIONS | WIRE | LIBRARY | {"pws_soap"}, {"service", "fastapi"})
    assert not forbidden(VALUES | DECISIONS | WIRE | LIBRARY, SIMULATOR | WEB)


def test_simulator_shares_nothing_with_the_client() -> None:
    """Only the WSDL, which is no module."""
    shared = [
        f"{name} imports {each}"
        for name, tree in PWS_SOAP.items()
        if within(name, SIMULATOR)
        for each in imports(tree)
        if (top(each) == "pws_soap" and not within(each, SIMULATOR)) or top(each) in {"service", "zeep", "fastapi"}
    ]
    assert not shared


def test_importing_the_package_loads_no_zeep() -> None:
    """`import pws_soap` names the client without loading it: only a function may import it."""
    tree = PWS_SOAP["pws_soap"]
    at_once = {str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {name for name in at_once if top(name) == "pws_soap"} == VALUES - {"pws_soap.contact"}


CORE = {"service.core"}
ROUTES = {"service.api"}
OUTER = {"service.runtime", "service.cli"}


def test_service_points_one_way() -> None:
    """Store below routes and workers, those below the assembly, that below the command line."""
    assert set(SERVICE) >= CORE | ROUTES | OUTER
    assert not forbidden(CORE, ROUTES | OUTER | WEB | {"aiohttp", "socket", "pws_soap.client", "pws_soap.simulator"})
    assert not forbidden(ROUTES, OUTER | {"pws_soap.client", "pws_soap.simulator", "pws_soap.transport"})
    inner = {name for name in SERVICE if not within(name, {"service.cli"}) and name != "service"}
    assert not forbidden(inner, {"service.cli", "click"})


def test_service_asks_one_clock() -> None:
    """So that a day of it can be run in a test of milliseconds."""
    asking = {name: clocks(tree) for name, tree in SERVICE.items() if name != "service.core.clock"}
    assert not {name: calls for name, calls in asking.items() if calls and not within(name, {"service.cli"})}


def test_everything_that_is_imported_is_declared() -> None:
    """Only the standard library, ourselves, and what pyproject.toml names, for everybody or in an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {str(re.split(r"[^\w-]", each)[0]).replace("-", "_").lower() for each in wanted}
    known = names | {"pws_soap", "service", "pydantic_core"} | set(sys.stdlib_module_names)  # a part of pydantic
    unknown = {top(each): name for name, tree in {**PWS_SOAP, **SERVICE}.items() for each in imports(tree)}
    assert not {each: name for each, name in unknown.items() if each not in known}
