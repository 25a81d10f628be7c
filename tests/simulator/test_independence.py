"""Server and simulator share nothing with the client but the WSDL."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pws_soap
from pws_soap.server.soap import contract
from pws_soap.server.soap.contract import wsdl

PACKAGE = Path(pws_soap.__file__).parent


def test_it_imports_nothing_of_the_client() -> None:
    """Else both sides would agree on one mistake. A server needs no simulator, and neither needs zeep or FastAPI.

    `http_protocol` and `listening` are how programs are served, and no client uses them.
    """
    server, simulator = (sorted((PACKAGE / name).rglob("*.py")) for name in ("server", "simulator"))
    assert len(server) > 15
    assert len(simulator) > 20
    allowed = {"aiohttp", "httptools", "lxml", "pws_soap", "starlette", "uvicorn", "yarl"}
    standard = __import__("sys").stdlib_module_names
    for module in (*server, *simulator):
        served = ("pws_soap.server", "pws_soap.http_protocol", "pws_soap.listening")
        own = served if module in server else (*served, "pws_soap.simulator")
        for node in ast.walk(ast.parse(module.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, module
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                assert top in allowed or top in standard, (module.name, name)
                assert top != "pws_soap" or name.startswith(own), (module.name, name)


def test_an_installed_wheel_has_the_wsdl_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pws_soap/wsdl/presence.wsdl`; one without a schema is no use."""
    (tmp_path / "wsdl").mkdir()
    (tmp_path / "wsdl" / "presence.wsdl").write_bytes(b"<definitions/>")
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    monkeypatch.setattr(contract, "wsdl", contract._wsdl_bytes.__wrapped__)
    assert contract.wsdl() == b"<definitions/>"
    with pytest.raises(ValueError, match="the WSDL has no schema"):
        contract.schema.__wrapped__(100)


def test_the_wsdl_is_the_projects_own() -> None:
    """Found in a checkout; an installed wheel has it beside the package."""
    assert wsdl() == (Path(__file__).parents[2] / "wsdl" / "presence.wsdl").read_bytes()
