"""What `pws serve` says of itself on standard error: for people as notes, or as lines of a JSON log, as all else is."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import click

from service.cli.shared import output

_log = logging.getLogger("pws.service")


class Notes:
    """In the form of the log: `text` or `json`, where no line is anything else."""

    def __init__(self, form: str) -> None:
        self._as_json = form == "json"

    def warnings(self, warnings: Iterable[str]) -> None:
        """Say what looks wrong in the configuration."""
        for warning in warnings:
            if self._as_json:
                _log.warning("%(warning)s", {"warning": warning}, extra={"event": "configuration.warning"})
            else:
                output.warn(warning)

    def serving(self, address: str, contacts: int) -> None:
        """The service listens."""
        if self._as_json:
            _log.info(
                "serving %(address)s", {"address": address, "contacts": contacts}, extra={"event": "service.listening"}
            )
        else:
            output.note(f"Serving {address}  ({contacts} contacts; API at /docs, health at /v1/status)")

    def one_of_several(self, unit: str, engine: str, address: str) -> None:
        """It is one of several replicas, which find each other in the engine."""
        if self._as_json:
            _log.info(
                "one of several replicas: unit %(unit)s at the engine %(engine)s; others reach this one at %(address)s",
                {"unit": unit, "engine": engine, "address": address},
                extra={"event": "cluster.starting"},
            )
        else:
            output.note(
                f"One of several replicas: unit {unit} at the engine {engine}; others reach this one at {address}"
            )

    def listening_for_notifications(self, address: str) -> None:
        """There is a second listener."""
        if self._as_json:
            _log.info(
                "listening for notifications alone on %(address)s",
                {"address": address},
                extra={"event": "callback.listening"},
            )
        else:
            output.note(f"Listening for notifications alone on {address}")

    def listening_for_programs(self, address: str, named: str) -> None:
        """There is a listener for the façade, which programs reach as `named`."""
        if self._as_json:
            _log.info(
                "the façade listens on %(address)s, and programs reach it as %(named)s",
                {"address": address, "named": named},
                extra={"event": "facade.listening"},
            )
        else:
            output.note(f"The façade listens on {address}, and programs reach it as {named}/presence-service/soap")

    def failure(self, error: click.ClickException) -> Exception:
        """What to raise, so that the command says why it ends and has the exit code of `error`."""
        if not self._as_json:
            return error
        _log.error("%(reason)s", {"reason": error.format_message()}, extra={"event": "service.failed"})
        return click.exceptions.Exit(error.exit_code)
