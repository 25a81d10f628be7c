"""`pws create`: what the sample script pws-create does, over TLS and with every contact."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from pws_soap.errors import PwsError
from pws_soap.models import Endpoint, Subscription
from service.cli.shared import output
from service.cli.shared.options import config_option, end_user_option, execute, json_option, settings, watches_of
from service.cli.shared.sessions import EndUserSession, NodeSession, NodeSessions
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
    endpoints, made = execute(_create(config, watches))
    if as_json:
        output.document(_document(config, endpoints, made))
        return
    rows = [
        ["endpoint", str(point.id), node.url, config.application.username, "", _life(point)]
        for node, point in endpoints
    ]
    rows += [
        ["subscription", str(sub.id), seat.node.url, seat.session.user, str(len(sub.contacts)), _life(sub)]
        for seat, sub in made
    ]
    output.table(["Made", "Id", "Node", "User", "Contacts", "Expires in"], rows)
    first = made[0][1].id
    output.note(f"Notifications go to {config.callback.url}. Next: pws fetch {first}; in the end: pws delete")


async def _create(
    config: Config, watches: tuple[Watch, ...]
) -> tuple[list[tuple[NodeSession, Endpoint]], list[tuple[EndUserSession, Subscription]]]:
    address = config.callback.address(config.callback.secret)
    endpoints: dict[str, tuple[NodeSession, Endpoint]] = {}
    made: list[tuple[EndUserSession, Subscription]] = []
    async with NodeSessions(config) as nodes:
        try:
            for watch in watches:
                seat = await nodes.seat(watch.end_user)
                node = seat.node
                if node.url not in endpoints:
                    with output.waiting(f"Registering the endpoint at {node.url}"):
                        endpoint = await node.client.register_endpoint(
                            node.application, address, expires=config.lifecycle.endpoint_expires
                        )
                    endpoints[node.url] = node, endpoint
                with output.waiting(f"Subscribing {watch.end_user} to {len(watch.contacts)} contacts"):
                    subscription = await node.client.subscribe(
                        seat.session,
                        endpoints[node.url][1],
                        watch.contacts,
                        expires=config.lifecycle.subscription_expires,
                    )
                made.append((seat, subscription))
        except PwsError as error:
            partly = getattr(error, "subscription", None)  # PartlySubscribed holds what it made
            if isinstance(partly, Subscription):
                made.append((seat, partly))
            await _undo(list(endpoints.values()), made)
            raise
    return list(endpoints.values()), made


async def _undo(endpoints: list[tuple[NodeSession, Endpoint]], made: list[tuple[EndUserSession, Subscription]]) -> None:
    """Remove what was made; what cannot be removed expires by itself."""
    for seat, subscription in made:
        with suppress(PwsError):
            await seat.node.client.unsubscribe(seat.session, subscription)
    for node, endpoint in endpoints:
        with suppress(PwsError):
            await node.client.unregister_endpoint(node.application, endpoint)


def _life(thing: Endpoint | Subscription) -> str:
    return f"{thing.expires} s"


def _document(
    config: Config, endpoints: list[tuple[NodeSession, Endpoint]], made: list[tuple[EndUserSession, Subscription]]
) -> dict[str, object]:
    ids = {node.url: endpoint.id for node, endpoint in endpoints}
    return {
        "endpoints": [
            {"id": endpoint.id, "node": node.url, "url": config.callback.url, "expires": endpoint.expires}
            for node, endpoint in endpoints
        ],
        "subscriptions": [
            {
                "id": subscription.id,
                "node": seat.node.url,
                "endpoint": ids[seat.node.url],
                "end_user": seat.session.user,
                "contacts": len(subscription.contacts),
                "expires": subscription.expires,
            }
            for seat, subscription in made
        ],
    }
