"""Waits of the plugin are long in its own tests: their five seconds are for people who look at a failed test."""

from __future__ import annotations

import pytest

from pws_soap.pytest_plugin import PwsFaults, PwsOffice, PwsServer

PATIENCE = 120.0
"""Seconds: far more than anything takes, also where a program has a tenth of a processor."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the code of docs/pytest.md, which runs as it stands, waits as long as a busy machine takes."""
    for room in (PwsServer, PwsOffice, PwsFaults):
        for method in vars(room).values():
            if "timeout" in (getattr(method, "__kwdefaults__", None) or {}):
                monkeypatch.setitem(method.__kwdefaults__, "timeout", PATIENCE)
    monkeypatch.setattr(PwsServer.wait, "__defaults__", (PATIENCE,))
