"""The simulator shares nothing with the client but the WSDL."""

from __future__ import annotations

import ast
from pathlib import Path

import pws_soap.simulator
from pws_soap.simulator.contract import wsdl

HERE = Path(pws_soap.simulator.__file__).parent


def test_it_imports_nothing_of_the_client() -> None:
    """Else both sides would agree on one mistake. Neither zeep nor FastAPI is needed."""
    modules = sorted(HERE.glob("*.py"))
    assert len(modules) > 20
    allowed = {"aiohttp", "lxml", "pws_soap", "starlette", "uvicorn"}
    standard = __import__("sys").stdlib_module_names
    for module in modules:
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
                assert top != "pws_soap" or name.startswith("pws_soap.simulator"), (module.name, name)


def test_the_wsdl_is_the_projects_own() -> None:
    """Found in a checkout; an installed wheel has it beside the package."""
    assert wsdl() == (Path(__file__).parents[2] / "wsdl" / "presence.wsdl").read_bytes()
