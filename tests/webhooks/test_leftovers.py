"""What is undelivered when the service stops, and what the next run makes of it."""

from __future__ import annotations

import asyncio
import json
import logging
import stat
from pathlib import Path

import pytest

from service.core.events.event import SubscriptionChange
from service.core.presence.filters import Filter
from service.runtime.webhook_files import WebhookFiles
from service.webhooks.deliveries import LAST_ANSWERS, LAST_WRITING
from service.webhooks.leftovers import Leftovers
from service.webhooks.message import WebhookMessage, raw
from tests.support.bare_service import AVAILABLE, AWAY, BUSY
from tests.support.followed_log import ANN, BOB
from tests.webhooks.office import BROKEN, TAKEN, Documents, Office, target


async def stopped_with_messages(shelf: Documents | None, caplog: pytest.LogCaptureFixture | None = None) -> Office:
    """An office that stopped while its target was down: two contacts and two other events are undelivered."""
    office = Office()
    async with office.delivering(shelf=shelf) as crm:
        office.watch(ANN, BOB)
        await office.turns()
        crm.answer, crm.hears = lambda _: BROKEN, lambda _: False
        office.read(ANN, BUSY)
        office.read(BOB, AWAY)
        office.log.tell("subscription.lost", SubscriptionChange("dispatcher", "imp1", "gone"))
        office.log.tell("subscription.recreated", SubscriptionChange("dispatcher", "imp1"))
        await office.later(60)
    return office


def next_run(office: Office) -> Office:
    """The same service once more; its targets are the same."""
    found = Office(revision=office.log.last + 10)
    found.clock.advance(100_000.0)
    found.receivers = office.receivers
    for receiver in found.receivers.values():
        receiver.clock = found.clock
        receiver.answer, receiver.hears = lambda _: TAKEN, lambda _: True
    return found


async def test_what_was_undelivered_comes_first_and_then_the_reset(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Documents()
    with caplog.at_level(logging.WARNING):
        first = await stopped_with_messages(shelf)
    assert "4 messages are undelivered; the next run sends 4 of them" in caplog.text
    kept = [f"crm-{message['id']}" for message in shelf.messages("crm")]
    count = len(first.crm.received)
    second = next_run(first)
    async with second.delivering(shelf=shelf) as crm:
        await second.settled()
        assert shelf.kept == {}
        again = crm.received[count:]
        assert crm.kinds()[count:].index("reset") == 4
        assert sorted(message.id for message in again[:4]) == sorted(kept)
        assert [message.kind for message in again if message.event.get_subject() == "dispatcher"] == [
            "pws.subscription.lost",
            "pws.subscription.recreated",
        ]
        assert crm.of(ANN) == ["BUSY"]
        second.watch(ANN)
        second.read(ANN, AVAILABLE)
        await second.settled()
        assert crm.of(ANN) == ["BUSY", "AVAILABLE"]


async def test_what_the_new_run_knows_better_is_not_sent() -> None:
    shelf = Documents()
    first = await stopped_with_messages(shelf)
    second = next_run(first)
    second.crm.answer, second.crm.hears, second.crm.seconds = lambda _: BROKEN, lambda _: False, 1.0
    async with second.delivering(shelf=shelf) as crm:
        second.watch(ANN, BOB)  # one of them is under way
        second.read(ANN, AVAILABLE)
        second.read(BOB, AVAILABLE)
        await second.later(10)
        crm.answer, crm.hears = lambda _: TAKEN, lambda _: True
        await second.later(700)
        assert crm.of(ANN) == crm.of(BOB) == ["AVAILABLE"]


async def test_a_crash_before_all_is_sent_leaves_it_for_the_next_run() -> None:
    """Nothing newer is sent before the document is gone."""
    shelf = Documents()
    first = await stopped_with_messages(shelf)
    document = shelf.kept["crm"]
    second = next_run(first)
    second.receivers["crm"].answer = lambda message: TAKEN if message.event.get_subject() == BOB else BROKEN
    second.receivers["crm"].hears = lambda reply: reply is TAKEN
    async with second.delivering(shelf=shelf) as crm:
        second.watch(BOB)
        second.read(BOB, BUSY)
        await second.later(60)
        assert shelf.kept == {"crm": document}
        assert crm.resets == 1


async def test_without_a_state_file_it_is_lost_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await stopped_with_messages(None)
    assert "4 messages are undelivered; the next run sends 0 of them" in caplog.text


async def test_a_disk_that_is_full_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Documents()
    shelf.broken = True
    with caplog.at_level(logging.WARNING):
        await stopped_with_messages(shelf)
    assert "cannot be kept: no space left" in caplog.text
    assert "sends 0 of them" in caplog.text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version":2,"view":"","messages":[]}', b"\xff" * 100])
async def test_a_damaged_document_is_put_aside(content: bytes) -> None:
    shelf = Documents()
    shelf.kept["crm"] = content
    office = Office()
    async with office.delivering(shelf=shelf) as crm:
        assert crm.kinds() == ["reset"]
    assert (shelf.kept, shelf.aside) == ({}, {"crm": content})


async def test_what_another_view_wrote_is_not_sent() -> None:
    """The target may not see any more what it says."""
    shelf = Documents()
    first = await stopped_with_messages(shelf)
    count = len(first.crm.received)
    second = next_run(first)
    async with second.delivering(target(wanted=Filter(groups=frozenset({"sales"}))), shelf=shelf) as crm:
        await second.settled()
        assert crm.kinds()[count:] == ["reset"]
        assert shelf.kept == {}


async def test_what_is_of_no_target_any_more_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Documents()
    first = await stopped_with_messages(shelf)
    second = next_run(first)
    with caplog.at_level(logging.WARNING):
        async with second.delivering(target("other"), shelf=shelf) as other:
            assert other.kinds() == ["reset"]
            assert shelf.kept == {}
    assert "crm is no longer configured" in caplog.text


async def test_a_message_under_way_at_the_end_is_undelivered() -> None:
    shelf = Documents()
    office = Office()
    async with office.delivering(shelf=shelf) as crm:
        office.watch(ANN)
        await office.turns()
        crm.seconds = 1e6
        office.read(ANN, BUSY)
        await office.turns()
    assert [message["contact"] for message in shelf.messages("crm")] == [ANN]
    assert crm.closed


async def test_the_end_waits_for_no_target() -> None:
    """However many hang, and however much is left: three seconds of the clock at most."""
    office = Office()
    names = [target(f"t{number}") for number in range(20)]
    async with office.delivering(*names, shelf=Documents(), seconds=1e6):
        contacts = [f"c{number}@example.com" for number in range(200)]
        office.watch(*contacts)
        for contact in contacts:
            office.read(contact, BUSY)
        await office.turns()
        began = office.clock.monotonic()
        await office.end()
        assert office.clock.monotonic() - began <= LAST_ANSWERS + LAST_WRITING


# --- files


async def test_a_file_is_whole_and_its_owners_alone(tmp_path: Path) -> None:
    state = tmp_path / "pws.state.json"
    files = WebhookFiles(state)
    assert files.read("crm") is None
    await files.write("crm", b"first")
    await files.write("crm", b"second")
    file = tmp_path / "pws.state.json.webhook-crm"
    assert file.read_bytes() == b"second" == files.read("crm")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {path.name for path in Path(tmp_path).iterdir()} == {file.name}  # noqa: ASYNC240  a temporary directory
    assert files.names() == ["crm"]
    assert files.put_aside("crm") == "pws.state.json.webhook-crm.broken"
    assert files.names() == []
    files.remove("crm")


async def test_what_a_crash_left_of_the_writing_is_removed(tmp_path: Path) -> None:
    unfinished = tmp_path / ".pws.state.json.webhook-crm.new"
    unfinished.write_bytes(b"half")
    assert WebhookFiles(tmp_path / "pws.state.json").names() == []
    assert not unfinished.exists()


async def test_only_regular_files_are_read_and_replaced(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps({"version": 1}))
    (tmp_path / "pws.state.json.webhook-crm").symlink_to(elsewhere)
    files = WebhookFiles(tmp_path / "pws.state.json")
    for work in (asyncio.to_thread(files.read, "crm"), files.write("crm", b"")):
        with pytest.raises(OSError, match="symbolic link"):
            await work
    assert json.loads(elsewhere.read_text()) == {"version": 1}


async def test_what_has_no_room_is_told() -> None:
    """Of several replicas the next owner gets so much at most, and nothing of contacts, of whom it tells anew."""
    shelf = Documents()
    messages = [
        WebhookMessage(number, "claim.made", 5.0, raw(b'{"x":1}'), subject=f"claim-{number}") for number in range(1, 9)
    ]
    contact = WebhookMessage(9, "change", 5.0, raw(b"{}"), contact=ANN)
    leftovers = Leftovers(shelf, most=900, has_contacts=False)
    kept = await leftovers.keep("crm", "view", [contact, *messages])
    assert 0 < kept < 8
    *found, told = leftovers.of("crm", "view")
    assert found == messages[:kept]
    assert (told.id, told.kind) == (8, "webhook.lost")
    assert json.loads(bytes(told.data))["lost"] == 8 - kept
    assert await leftovers.keep("crm", "view", [contact]) == 0
    assert not shelf.kept
