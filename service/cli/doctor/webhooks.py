"""Checks the way to each target of webhooks, up to TLS. No message is sent: `pws webhooks test` does that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from service.cli.doctor import certificate
from service.cli.shared import webhook_way
from service.cli.shared.findings import Notebook, Tell
from service.config import Config

SOON: Final = 30
"""A certificate that expires within this many days is a warning."""
_DAY: Final = 86400.0


async def look(config: Config, tell: Tell, now: Callable[[], float] = certificate.now) -> None:
    """Check each target. Its secrets were read with the configuration."""
    for target in config.webhooks:
        note = Notebook(f"webhook {target.name}", tell)
        way = await webhook_way.look(target)
        for step in way.steps:
            note.ok(step)
        if way.obstacle is not None:
            note.problem(way.obstacle.reason, way.obstacle.cure, fault=way.obstacle.fault)
            continue
        until = way.certificate.until if way.certificate is not None else None
        if until is not None and until - now() < SOON * _DAY:
            days = max(0, int((until - now()) / _DAY))
            note.warning(f"its certificate expires in {days} days", "have it renewed")
        secrets = "1 secret" if len(target.secret) == 1 else f"{len(target.secret)} secrets"
        note.ok(f"{secrets} to sign with; `pws webhooks test {target.name}` sends one message")
