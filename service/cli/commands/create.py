"""`pws create`: what the sample script pws-create does, over TLS and with every contact."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import click

from pws_soap.errors import PartlySubscribed, PwsError
from pws_soap.models import Endpoint, Subscription
from service.cli.shared import output
from service.cli.shared.options import config_option, end_user_option, execute, json_option, settings, watches_of
from service.cli.shared.sessions import EndUserSession, NodeSession, NodeSessions
from service.cli.shared.signals import cancelled_at_signals
from service.config import Config, Watch


@click.command("create")
@end_user_option
@config_option
@json_option
def command(config_path: Path, end_user: str | None, as_json: bool) -> None:
    """Register the endpoint and subscribe to the contacts.

    Logs in the application user and the end user of each [[watch]] block (or the one given), registers callback.url
    as the endpoint and subscribes to the block's contacts. Prints the ids, which `pws fetch` wants. What was made lives
    as long as [lifecycle] says, at most a day; nothing renews it, that is what `pws serve` is for. Where something
    fails, what was made before is removed again.

    \b
    Example:
      pws create --config pws.toml
      pws create --end-user dispatcher --json
    """
    config = settings(config_path, callback=True)
    watches = watches_of(config, end_user)
    for watch in watches:
        if not watch.contacts:
            raise output.Mistake(f"{watch.end_user} has no contacts: set watch.contacts or watch.contacts_file")
    execute(_create(config, watches, as_json=as_json))


async def _create(config: Config, watches: tuple[Watch, ...], *, as_json: bool) -> None:
    """Make everything and print it. Whatever ends that, what was made is removed: nobody would know its ids."""
    made = _Made()
    async with NodeSessions(config) as nodes:
        making = asyncio.create_task(_make(config, watches, nodes, made))
        with cancelled_at_signals():
            try:
                await asyncio.shield(making)
                _print(config, made, as_json=as_json)
                await asyncio.sleep(0)  # a signal that came while it was printed counts too
            except BaseException:
                made.is_given_up = True
                await asyncio.wait([making])  # the request under way may yet make something
                await _undo(made)
                raise


@dataclass(slots=True)
class _Made:
    """What exists at the nodes so far."""

    endpoints: dict[str, tuple[NodeSession, Endpoint]] = field(default_factory=dict)
    """By the node's URL."""
    subscriptions: list[tuple[EndUserSession, Subscription]] = field(default_factory=list)
    is_given_up: bool = False
    """No further request is sent."""


async def _make(config: Config, watches: tuple[Watch, ...], nodes: NodeSessions, made: _Made) -> None:
    address = config.callback.address(config.callback.secret)
    for watch in watches:
        seat = await nodes.seat(watch.end_user)
        node = seat.node
        if node.url not in made.endpoints and not made.is_given_up:
            with output.waiting(f"Registering the endpoint at {node.url}"):
                endpoint = await node.client.register_endpoint(
                    node.application, address, expires=config.lifecycle.endpoint_expires
                )
            made.endpoints[node.url] = node, endpoint
        if made.is_given_up:
            return
        with output.waiting(f"Subscribing {watch.end_user} to {len(watch.contacts)} contacts"):
            try:
                subscription = await node.client.subscribe(
                    seat.session,
                    made.endpoints[node.url][1],
                    watch.contacts,
                    expires=config.lifecycle.subscription_expires,
                )
            except PartlySubscribed as error:
                made.subscriptions.append((seat, error.subscription))
                raise
        made.subscriptions.append((seat, subscription))


async def _undo(made: _Made) -> None:
    """Remove what was made; what cannot be removed expires by itself."""
    for seat, subscription in made.subscriptions:
        with suppress(PwsError):
            await seat.node.client.unsubscribe(seat.session, subscription)
    for node, endpoint in made.endpoints.values():
        with suppress(PwsError):
            await node.client.unregister_endpoint(node.application, endpoint)


def _print(config: Config, made: _Made, *, as_json: bool) -> None:
    """Print the ids, to the last byte: raises OSError where they cannot be written."""
    if as_json:
        output.document(_document(config, made))
    else:
        rows = [
            ["endpoint", str(point.id), node.url, config.application.username, "", _life(point)]
            for node, point in made.endpoints.values()
        ]
        rows += [
            ["subscription", str(sub.id), seat.node.url, seat.session.user, str(len(sub.contacts)), _life(sub)]
            for seat, sub in made.subscriptions
        ]
        output.table(["Made", "Id", "Node", "User", "Contacts", "Expires in"], rows)
    output.written()
    if not as_json:
        first = made.subscriptions[0][1].id
        output.note(f"Notifications go to {config.callback.url}. Next: pws fetch {first}; in the end: pws delete")


def _life(thing: Endpoint | Subscription) -> str:
    return f"{thing.expires} s"


def _document(config: Config, made: _Made) -> dict[str, object]:
    return {
        "endpoints": [
            {"id": endpoint.id, "node": node.url, "url": config.callback.url, "expires": endpoint.expires}
            for node, endpoint in made.endpoints.values()
        ],
        "subscriptions": [
            {
                "id": subscription.id,
                "node": seat.node.url,
                "endpoint": made.endpoints[seat.node.url][1].id,
                "end_user": seat.session.user,
                "contacts": len(subscription.contacts),
                "expires": subscription.expires,
            }
            for seat, subscription in made.subscriptions
        ],
    }
