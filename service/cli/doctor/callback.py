"""Checks whether the server reaches the callback: serves the callback route, and makes an endpoint and a subscription.

The endpoint's address is the one that the service registers, with another secret. A new subscription is notified at
once (protocol section 2, Notifications), so no presence has to change. Endpoint and subscription are always removed.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from pws_soap import notification
from pws_soap.errors import Fault, PartlySubscribed, PwsError, SubscriptionLost
from pws_soap.models import Secret, Subscription
from service.cli.doctor import contacts, reach, running
from service.cli.doctor.listener import NotificationListener, answering, opened, place, program
from service.cli.doctor.logins import CheckedEndUser
from service.cli.shared.findings import Blame, Notebook, Tell
from service.config import Config, server_sections
from service.core.callback_url import token_of
from service.runtime import state_lock

PROBE: Final = notification.MAX_ID
"""An id that no server gives, for a notification of our own."""
FAREWELL: Final = 10.0
"""Seconds for removing the endpoint or the subscription; after that it stays until it expires."""
MOST_OTHERS: Final = 16
"""Ids that are tried for a subscription of somebody else."""
NOT_SUBSCRIBED: Final = 144
BUSY: Final = "above 80 % CPU it sends none"


async def look(config: Config, seats: list[CheckedEndUser], tell: Tell, patience: float) -> None:
    """Check the callback from every node where one of these end users is homed."""
    note = Notebook("callback", tell)
    host, port = place(config)
    secret, notifications = Secret(secrets.token_urlsafe(32)), NotificationListener()
    try:
        listener = opened(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            fix = "set http.host (or callback.listen_host) to an address of this machine"
            note.problem(f"cannot listen on {host}:{port}: {error.strerror or error}", fix)
        elif not await running.look(config, host, port, note):
            fix = "stop that program, or set http.port or callback.listen_port and callback.url"
            note.problem(f"cannot listen on {host}:{port}: another program has the port", fix)
        return
    async with answering(program(config, notifications, secret), listener):
        await running.look_at_api(config, Notebook("access", tell))
        if config.cluster is None:
            _alone(config, Notebook("state file", tell))
        await contacts.look(seats, tell)
        at_homes = {seat.at.url: seat for seat in reversed(seats) if seat.watch.contacts}
        if not seats:
            note.warning("not tried, since no end user could log in (see above)")
        elif not at_homes:
            note.warning("not tried: there is no contact to subscribe to", "add a contact to a [[watch]] block")
        for seat in reversed(at_homes.values()):
            await _try(
                config,
                seat,
                notifications,
                secret,
                Notebook(f"callback from {urlsplit(seat.at.url).netloc}", tell),
                patience,
            )


async def is_running(config: Config, tell: Tell) -> bool:
    """Whether the service is running, which is then reported as `look` does. Nothing is tried."""
    return await running.look(config, *place(config), Notebook("callback", tell))


def _alone(config: Config, note: Notebook) -> None:
    """Check that no service runs with our state file: it is not at our address, or we could not listen there."""
    other = state_lock.holder(config.state_path)
    if other is None:
        return
    who = f"another service (process {other.pid})" if other.pid else "another service"
    host, port = place(config)
    fix = (
        "if it is this service with an earlier configuration, restart it; else give one of them a state.file, an "
        "application user and end users of its own, since two take away each other's sessions"
    )
    what = f"{who} runs with {config.state_path}, and does not listen on {host}:{port}: pws serve will not start"
    note.problem(what, fix, fault=Blame.CONFIGURATION)


async def _try(
    config: Config,
    seat: CheckedEndUser,
    notifications: NotificationListener,
    secret: Secret,
    note: Notebook,
    patience: float,
) -> None:
    """Check from one node. A cancellation waits until endpoint and subscription are removed."""
    trying = asyncio.create_task(_whole(config, seat, notifications, secret, note, patience))
    try:
        await asyncio.shield(trying)
    except asyncio.CancelledError:
        notifications.given_up = True
        notifications.changed.set()
        await asyncio.wait([trying], timeout=3 * FAREWELL)
        raise


async def _whole(
    config: Config,
    seat: CheckedEndUser,
    notifications: NotificationListener,
    secret: Secret,
    note: Notebook,
    patience: float,
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with _subscribed(config, seat, secret, note) as subscription:
            try:
                async with asyncio.timeout(patience):
                    expected = (token_of(seat.at.url), subscription.id)
                    while expected not in notifications.received and not notifications.given_up:
                        notifications.changed.clear()
                        await notifications.changed.wait()
            except TimeoutError:
                await _silence(config, notifications, config.callback.address(secret, seat.at.url), note, patience)
            else:
                if not notifications.given_up:
                    took = loop.time() - began
                    note.ok(f"{config.callback.url} is reached: a notification came within {took:.2f} s")
            if not notifications.given_up and config.cluster is None:  # else they are those of the owner
                await _others(config, seat, subscription, Notebook(f"end user {seat.watch.end_user}", note.tell))
    except PwsError as error:
        note.error(error)


@asynccontextmanager
async def _subscribed(
    config: Config, seat: CheckedEndUser, secret: Secret, note: Notebook
) -> AsyncIterator[Subscription]:
    """An endpoint and a subscription to one contact, removed at the end of the block."""
    client, life = seat.at.client, config.lifecycle
    async with AsyncExitStack() as stack:
        endpoint = await client.register_endpoint(
            seat.at.application, config.callback.address(secret, seat.at.url), expires=life.endpoint_expires
        )
        stack.push_async_callback(
            _removed, client.unregister_endpoint(seat.at.application, endpoint), f"endpoint {endpoint.id}", note
        )
        try:
            made = await client.subscribe(
                seat.session, endpoint, seat.watch.contacts[:1], expires=life.subscription_expires
            )
        except PartlySubscribed as error:
            made = error.subscription
        stack.push_async_callback(_removed, client.unsubscribe(seat.session, made), f"subscription {made.id}", note)
        yield made


# Any: as coroutines are typed
async def _removed(removal: Coroutine[Any, Any, None], what: str, note: Notebook) -> None:
    try:
        async with asyncio.timeout(FAREWELL):
            await removal
    except (PwsError, TimeoutError):
        note.warning(f"{what} could not be removed: it stays until it expires", "`pws delete` removes everything")


async def _others(config: Config, seat: CheckedEndUser, made: Subscription, note: Notebook) -> None:
    """Report subscriptions in the end user's session that are not ours: somebody else has the same users.

    The server gives the lowest free id, so only lower ones are tried: to take a contact out that nobody has is refused
    with 144 where the subscription is of our session, and with another code where it is not. Either way it stays.
    """
    nobody = f"pws-doctor-{secrets.token_hex(8)}@example.invalid"
    found = []
    for number in range(1, min(made.id, MOST_OTHERS + 1)):
        try:
            await seat.at.client.unsubscribe(seat.session, number, [nobody])
        except SubscriptionLost:
            continue
        except Fault as fault:
            if fault.code != NOT_SUBSCRIBED:
                return
        except PwsError:
            return
        found.append(str(number))
    if found:
        fix = (
            f"if another service or program uses {config.application.username} and {seat.watch.end_user}, give it "
            "users of its own: two take away each other's sessions; pws serve removes what an earlier run left"
        )
        what = f"its session at {seat.at.url} has a subscription that is not ours: {', '.join(found)}"
        note.warning(what, fix)


async def _silence(
    config: Config, notifications: NotificationListener, address: Secret, note: Notebook, patience: float
) -> None:
    """Report that no notification came, with the most likely cause."""
    url = config.callback.url
    what = f"no notification came to {url} within {patience:g} s"
    if notifications.foreign:
        came_from = ", ".join(sorted(notifications.foreign)[:3])
        fix = "add the server's address to callback.allow_from, or the proxy's to callback.trusted_proxies"
        note.problem(f"{what}, but requests from {came_from}, which callback.allow_from does not name", fix)
        return
    if notifications.received:
        fix = "a proxy in between may cut the path off: it must pass on unchanged what follows /pws/"
        note.problem(f"{what}, but one came on another path of the callback", fix)
        return
    if notifications.others:
        fix = "a proxy in between may change the path: it must pass on /pws/ unchanged"
        note.problem(f"{what}, but {notifications.others} other requests", fix)
        return
    obstacle = await _obstacle(address, notifications)
    port = config.callback.port
    if obstacle is not None and obstacle.answers and config.cluster is not None:
        fix = "look at `notifications` in /v1/status of those that run; where none does, correct callback.url"
        note.warning(f"{what}: another program answers there, which is right where that is another replica", fix)
    elif obstacle is not None:
        reason = f"{what}; this machine does not reach it either: {obstacle.reason}"
        note.problem(reason, reach.cure(config, obstacle))
    elif port not in server_sections.CALLBACK_PORTS:
        known = ", ".join(map(str, sorted(server_sections.CALLBACK_PORTS)))
        fix = (
            f"give callback.url one of the ports {known}; where a proxy has that already, check the server's route to "
            f"it, the firewalls between, and the server's load: {BUSY}"
        )
        note.problem(f"{what}; this machine reaches it, but servers are known that do not notify port {port}", fix)
    else:
        fix = f"check the server's route to it, the firewalls between, and the server's load: {BUSY}"
        note.problem(f"{what}; this machine reaches it", fix)


async def _obstacle(address: Secret, notifications: NotificationListener) -> reach.Obstacle | None:
    """Why a notification that we send to the address ourselves does not arrive; None where it does, or may."""
    answer = await reach.ask(Secret(f"{address.reveal()}?id={PROBE}&eventType={notification.EVENT_TYPE}"))
    if answer is None or any(subscription_id == PROBE for _, subscription_id in notifications.received):
        return None
    if isinstance(answer, int):
        return reach.Obstacle(f"another program answers there, with HTTP {answer}", answers=True)
    return answer
