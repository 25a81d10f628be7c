"""The public API as its users write it: mypy checks this file, nobody runs it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from pws_soap import (
    Device,
    Endpoint,
    Fault,
    OutcomeUnknown,
    Policy,
    Presence,
    PresenceState,
    PresenceType,
    PwsClient,
    PwsError,
    Redirected,
    Secret,
    Session,
    Subscription,
    TransportError,
)


async def example(password: str) -> None:
    """The ten lines of the documentation."""
    async with PwsClient("https://imp1.example.com:8083", ca_file="cup.pem") as pws:
        assert_type(pws, PwsClient)
        app = await pws.login("pwsapp", password)
        user = await pws.login_end_user(app, "dispatcher")
        endpoint = await pws.register_endpoint(app, "http://10.0.0.5:8080/pws/secret", expires=3600)
        subscription = await pws.subscribe(user, endpoint, ["ann@example.com"], expires=3600)
        for presence in await pws.get_subscribed_presence(user, subscription, rich=True):
            print(presence.contact, presence.state, presence.on_the_phone)  # noqa: T201  # as users do
            assert_type(presence, Presence)
        assert_type(app, Session)
        assert_type(user, Session)
        assert_type(endpoint, Endpoint)
        assert_type(subscription, Subscription)


async def everything_else(pws: PwsClient, session: Session, endpoint: Endpoint, subscription: Subscription) -> None:
    """Every other method, with what it takes and gives."""
    assert_type(await pws.login("pwsapp", Secret("x"), force=True), Session)
    assert_type(await pws.renew_endpoint(session, endpoint), int)
    assert_type(await pws.renew_endpoint(session, 3, expires=7200), int)
    assert_type(await pws.renew_subscription(session, 3, subscription), int)
    assert_type(await pws.get_polled_presence(session, (uri for uri in ("a@b.c",))), list[Presence])
    await pws.add_contacts(session, endpoint, 7, {"a@b.c"})
    await pws.unsubscribe(session, subscription)
    await pws.unsubscribe(session, 7, ["a@b.c"])
    await pws.set_presence(session, "BUSY", override=True, expires=3600)
    await pws.set_presence(session, PresenceState.AWAY)
    await pws.set_rich_presence(session, b"<presence/>")
    await pws.unregister_endpoint(session, endpoint)
    await pws.logout(session)
    await pws.close()


async def errors(pws: PwsClient) -> None:
    """What a caller decides by."""
    try:
        await pws.login("pwsapp", "x")
    except Fault as fault:
        assert_type(fault.code, int | None)
        assert_type(fault.policy, Policy)
    except Redirected as redirect:
        assert_type(redirect.primary, str | None)
    except OutcomeUnknown as unknown:
        assert_type(unknown.node, str)
    except TransportError as error:
        assert_type(error.operation, str)
    except PwsError as error:
        assert_type(error.policy, Policy)


def values(presence: Presence) -> None:
    """What is known of a contact; None is not an answer."""
    assert_type(presence.state, PresenceState)
    assert_type(presence.type, PresenceType)
    assert_type(presence.activities, tuple[str, ...])
    assert_type(presence.on_the_phone, bool | None)
    assert_type(presence.devices, tuple[Device, ...])
    assert_type(presence.document, bytes | None)


def clients() -> None:
    """Every way to make one; a wrong word is found by the type checker."""
    PwsClient("http://imp1.example.com", soap="1.2", wsdl="live")
    PwsClient("https://imp1.example.com", fingerprint="ab" * 32, wsdl=Path("presence.wsdl"), read_timeout=10)
    PwsClient("https://imp1.example.com", soap="1.3")  # type: ignore[arg-type]  # the point of this line
    PwsClient("https://imp1.example.com", verify=False)  # type: ignore[call-arg]  # there is no such switch
