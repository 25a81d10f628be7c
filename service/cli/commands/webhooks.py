"""`pws webhooks test`: one signed message to a target, and what became of it, or why it did not arrive and the cure."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from service.cli.shared import completion, output
from service.cli.shared.findings import Blame
from service.cli.shared.options import config_option, execute, json_option, settings
from service.cli.shared.plain_group import PlainGroup

if TYPE_CHECKING:
    from service.cli.shared.webhook_way import WebhookObstacle
    from service.config import Config
    from service.config.webhook_section import WebhookSection
    from service.core.webhooks import Attempt

_CURES: Final = {
    301: "set url to where it leads; redirects are not followed",
    400: "look into the receiver's log: it gets a CloudEvent as application/cloudevents+json, signed as Standard "
    "Webhooks says",
    401: "does the receiver have the same secret, does it verify the body as it came, and is its clock right? What it "
    "wants besides, such as a key, belongs into the query of url",
    404: "correct the path of url, or make the receiver take POST there",
    410: "it says that it is gone for good, for which a service parks it: correct url, or take the block out",
    413: "let the receiver take bodies of 64 KB or more, as application/cloudevents+json",
    429: "it has too much to do; a service tries again after a while",
    500: "look into the receiver's log; a service tries again after a while",
}
"""What to do about an answer, by the first status of those that it is about."""
_ALIKE: Final = {403: 401, 407: 401, 405: 404, 415: 413, 422: 400, 503: 429}
_SLOW: Final = "let the receiver answer first and work on it later, or raise timeout"
_BROKEN: Final = "look into the receiver's log, and at what stands in between"


@click.group("webhooks", cls=PlainGroup)
def command() -> None:
    """Send a test message to a target of webhooks.

    \b
    Example:
      pws webhooks test crm
    """


@command.command("test")
@click.argument("name", metavar="NAME", shell_complete=completion.webhooks)
@config_option
@json_option
def test_command(name: str, config_path: Path, as_json: bool) -> None:
    """Send one signed test message to the target NAME of the configuration.

    It goes the way of every message, with the same signature, addresses and certificates, and is a CloudEvent of the
    type pws.webhook.test. A running service is not asked, and not disturbed.

    Prints what was sent and the answer with its time, or the cause and the cure. Exit code 0: the target took it;
    1: it did not, or was not reached; 2: the words or the configuration are wrong.

    \b
    Example:
      pws webhooks test crm
      pws webhooks test crm --config /etc/pws/pws.toml --json
    """
    config = settings(config_path)
    targets = {target.name: target for target in config.webhooks}
    if name not in targets:
        known = ", ".join(targets)
        hint = f"there are: {known}" if known else "the configuration has no [[webhooks]] block"
        raise output.Mistake(f"no webhook {name!r}; {hint}")
    target = targets[name]
    attempt, obstacle = execute(_tried(config, target))
    if as_json:
        output.document(_as_document(target, attempt, obstacle))
    else:
        _show(target, attempt)
    if obstacle is not None:
        kind = output.Mistake if obstacle.fault is Blame.CONFIGURATION else output.CommandFailed
        raise kind(f"{name}: {obstacle.reason}; {obstacle.cure}")


async def _tried(config: Config, target: WebhookSection) -> tuple[Attempt, WebhookObstacle | None]:
    """One attempt, and where it failed why."""
    from service.runtime.webhooks import send_test  # aiohttp takes a moment

    attempt = (await send_test(config, target.name)).attempt
    return attempt, None if attempt.succeeded else await _obstacle(target, attempt)


async def _obstacle(target: WebhookSection, attempt: Attempt) -> WebhookObstacle:
    """Why a message did not arrive: what the answer says, or what is in the way."""
    from service.cli.shared import webhook_way

    if attempt.status is not None:
        return webhook_way.WebhookObstacle(f"it answered {attempt.error or attempt.status}", _cure(attempt.status))
    way = await webhook_way.look(target)
    if way.obstacle is not None:
        return way.obstacle
    is_slow = attempt.seconds >= target.timeout * 0.95
    return webhook_way.WebhookObstacle(attempt.error or "there was no answer", _SLOW if is_slow else _BROKEN)


def _cure(status: int) -> str:
    """What to do about an answer."""
    known = _ALIKE.get(status, status)
    return _CURES.get(known) or _CURES[{3: 301, 4: 400}.get(status // 100, 500)]


def _show(target: WebhookSection, attempt: Attempt) -> None:
    secrets = len(target.secret)
    signed = "its secret" if secrets == 1 else f"each of its {secrets} secrets"
    click.echo(f"to      {target.url}")
    click.echo(f"sent    {attempt.message}, a CloudEvent pws.{attempt.event}, signed with {signed}")
    milliseconds = max(1, round(attempt.seconds * 1000))
    click.echo(f"answer  {attempt.status} after {milliseconds} ms" if attempt.status is not None else "answer  none")


def _as_document(target: WebhookSection, attempt: Attempt, obstacle: WebhookObstacle | None) -> dict[str, object]:
    at = datetime.fromtimestamp(attempt.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "webhook": target.name,
        "address": target.url.address,
        "at": at,
        "message": attempt.message,
        "type": f"pws.{attempt.event}",
        "secrets": len(target.secret),
        "succeeded": attempt.succeeded,
        "status": attempt.status,
        "seconds": round(attempt.seconds, 3),
        "cause": None if obstacle is None else obstacle.reason,
        "cure": None if obstacle is None else obstacle.cure,
    }
