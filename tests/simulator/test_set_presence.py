"""setPresence: what is refused, and what becomes of the contact (protocol section 2)."""

from __future__ import annotations

import pytest

from pws_soap.server import messages as m
from pws_soap.simulator import Options, State

from .talk import DirectSimulator

ME = "dispatcher@example.com"


def document(tuples: str = "", person: str = "") -> bytes:
    """A document that an end user sets."""
    return f'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:{ME}">{person}{tuples}</presence>'.encode()


def device(number: str, activities: str = "", *, source: str | None = None, basic: str = "open") -> str:
    """A tuple."""
    given = "" if source is None else f"<source>{source}</source>"
    return f'<tuple id="{number}"><status><basic>{basic}</basic>{activities}</status>{given}</tuple>'


def basic(state: State | None, *, override: bool = False, expiration: int = 3600) -> m.SetPresence:
    """A basic presence to set."""
    return m.SetPresence("BASIC_PRESENCE", override, expiration, basic=state)


def rich(content: bytes | None, *, override: bool = False) -> m.SetPresence:
    """A rich presence to set."""
    return m.SetPresence("RICH_PRESENCE", override, 3600, rich=content)


SOURCE = "Presence Web Service"
BUSY = "<activities><busy/></activities>"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (basic(None), 115),
        (basic(State.AVAILABLE, override=True), 121),
        (basic(State.DND), 122),
        (basic(State.BUSY, expiration=3599), 131),
        (basic(State.BUSY, expiration=86401), 131),
        (rich(None), 120),
        (rich(b"not xml"), 120),
        (rich(b"<!DOCTYPE presence><presence/>"), 120),
        (rich(b"<other/>"), 120),
        (rich(document(device("pws-device", BUSY, source=SOURCE)), override=True), 161),
        (rich(document(device("pws-device", BUSY))), 162),
        (rich(document(device("pws-device", BUSY, source="Somebody"))), 162),
        (rich(document(device("pws-override", "<activities><available/></activities>")), override=True), 121),
        (rich(document(device("d", "<activities><dnd/></activities>", source=SOURCE))), 122),
    ],
)
def test_what_is_refused(call: m.SetPresence, code: int) -> None:
    """The codes of setPresence; nothing is changed by them."""
    direct = DirectSimulator()
    _, user, *_ = direct.ready()
    assert direct.code(call, user) == code
    assert ME not in direct.world


def test_an_override_hides_everything_until_it_ends() -> None:
    """And is marked as set by hand."""
    direct = DirectSimulator()
    _, user, *_ = direct.ready()
    direct.world.change(ME, 0.0, {"state": State.AVAILABLE, "activities": ("on-the-phone",), "note": "here"})
    assert direct.ask(basic(State.DND, override=True), user) == m.Done("setPresence")
    shown = direct.world.get(ME)
    assert (shown.state, shown.activities, shown.manual, shown.note) == (State.DND, (), True, "here")
    assert direct.world.next_due == direct.now + 3600
    assert direct.world.expire(direct.now + 3599) == []
    assert direct.world.expire(direct.now + 3600) == [ME]
    assert direct.world.get(ME).state is State.BUSY


@pytest.mark.parametrize(
    ("own", "by_hand", "together"),
    [
        (State.AVAILABLE, State.AWAY, State.AWAY),
        (State.BUSY, State.AWAY, State.BUSY),
        (State.UNAVAILABLE, State.AVAILABLE, State.AVAILABLE),
        (State.BUSY, State.UNAVAILABLE, State.BUSY),
    ],
)
def test_without_override_it_is_one_device_more(own: State, by_hand: State, together: State) -> None:
    """The less available of both counts, unless one of them is not there at all."""
    direct = DirectSimulator()
    _, user, *_ = direct.ready()
    direct.world.change(ME, 0.0, {"state": own})
    direct.ask(basic(by_hand), user)
    shown = direct.world.get(ME)
    assert shown.state is together
    assert [(one.id, one.open, one.source) for one in shown.devices] == [
        ("cisco-pws", by_hand is not State.UNAVAILABLE, SOURCE)
    ]


@pytest.mark.parametrize(
    ("content", "override", "state", "activities", "note"),
    [
        (document(device("d", BUSY, source=SOURCE)), False, State.BUSY, (), None),
        (document(device("d", source=SOURCE)), False, State.AVAILABLE, (), None),
        (document(device("d", source=SOURCE, basic="closed")), False, State.UNAVAILABLE, (), None),
        (
            document(device("pws-persistent", "<activities><meeting/><vacation/></activities>"), "<note>Sea</note>"),
            True,
            State.VACATION,
            ("meeting",),
            "Sea",
        ),
        (
            b'<p:presence xmlns:p="urn:x"><p:person><p:activities><p:user-input>idle</p:user-input><p:Away/>'
            b'</p:activities></p:person><p:tuple id="pws-override"/></p:presence>',
            True,
            State.AWAY,
            (),
            None,
        ),
    ],
)
def test_rich_documents_are_read(
    content: bytes, override: bool, state: State, activities: tuple[str, ...], note: str | None
) -> None:
    """By local names in any namespace."""
    direct = DirectSimulator()
    _, user, *_ = direct.ready()
    assert direct.code(rich(content, override=override), user) is None
    shown = direct.world.get(ME)
    assert (shown.state, shown.activities, shown.note) == (state, activities, note)


def test_a_document_without_a_state_takes_the_presence_back() -> None:
    """An override tuple that says nothing."""
    direct = DirectSimulator()
    _, user, *_ = direct.ready()
    direct.ask(basic(State.DND, override=True), user)
    direct.ask(rich(document('<tuple id="pws-override"/>'), override=True), user)
    assert direct.world.get(ME).state is State.UNAVAILABLE
    assert direct.world.next_due is None


CLEAR = "<person><activities><clear/></activities></person>"
CLEARS = [
    (document(device("pws_override", source=SOURCE), CLEAR), False),
    (document(device("pws_override", source=SOURCE, basic="closed"), CLEAR), False),
    (document(device("pws_override", "<c:clear xmlns:c='urn:c'></c:clear>", source=SOURCE)), False),
    (document("<Clear/>" + device("pws_override", source=SOURCE)), False),
    (document(device("pws-override", basic="closed"), CLEAR), True),
    (document(device("pws-override", basic="closed")), True),
    (document(device("pws-persistent", basic="closed", source=SOURCE)), True),
    (document(device("pws-override", basic="closed", source=SOURCE)), False),
    (document('<tuple id="pws-override"/>'), True),
]


@pytest.mark.parametrize(("content", "override"), CLEARS)
def test_clearing_gives_back_what_was_before(content: bytes, override: bool) -> None:
    """The override first, then what was set without one, in every form; the contact's own presence is not touched."""
    desk = DirectSimulator()
    _, user, *_ = desk.ready()
    desk.world.change(ME, 0.0, {"state": State.AWAY, "note": "own"})
    own = desk.world.get(ME)
    desk.ask(basic(State.BUSY), user)
    busy = desk.world.get(ME)
    desk.ask(basic(State.UNAVAILABLE, override=True), user)
    assert desk.world.get(ME).state is State.UNAVAILABLE
    for expected in (busy, own, own):
        assert desk.ask(rich(content, override=override), user) == m.Done("setPresence")
        assert desk.world.get(ME) == expected
    assert desk.world.next_due is None


def test_clearing_takes_the_source_as_any_other_document() -> None:
    """Code 162 without it, 161 for an override in a tuple of another name."""
    desk = DirectSimulator()
    _, user, *_ = desk.ready()
    assert desk.code(rich(document(device("pws_override"), CLEAR)), user) == 162
    assert desk.code(rich(document(device("pws_override", source=SOURCE), CLEAR), override=True), user) == 161


def test_an_override_hides_a_device_until_it_expires() -> None:
    """What is set beneath meanwhile counts afterwards; what expires beneath is gone."""
    desk = DirectSimulator()
    _, user, *_ = desk.ready()
    desk.ask(basic(State.BUSY, expiration=7200), user)
    desk.ask(basic(State.DND, override=True), user)
    desk.ask(basic(State.AWAY, expiration=7200), user)
    assert desk.world.get(ME).state is State.DND
    assert desk.world.expire(desk.now + 3600) == [ME]
    assert desk.world.get(ME).state is State.AWAY
    assert desk.world.expire(desk.now + 7200) == [ME]
    assert desk.world.get(ME).state is State.UNAVAILABLE
    desk.ask(basic(State.BUSY), user)
    desk.ask(basic(State.DND, override=True, expiration=7200), user)
    desk.world.expire(desk.now + 3600)
    assert desk.world.get(ME).state is State.DND
    desk.world.set_manual(ME, None)
    assert desk.world.get(ME).state is State.UNAVAILABLE


def test_a_closed_override_tuple_with_a_state_sets_it() -> None:
    """As published code writes it: the state counts, not the tuple."""
    desk = DirectSimulator()
    _, user, *_ = desk.ready()
    content = document(device("pws-override", basic="closed", source=SOURCE), f"<person>{BUSY}</person>")
    desk.ask(rich(content, override=True), user)
    assert desk.world.get(ME).state is State.BUSY


def test_a_device_keeps_its_id() -> None:
    """That of the document's tuple; basic presence, which has none, makes `cisco-pws`."""
    desk = DirectSimulator()
    _, user, *_ = desk.ready()
    desk.ask(basic(State.BUSY), user)
    assert [device.id for device in desk.world.get(ME).devices] == ["cisco-pws"]
    desk.ask(rich(document(device("wall-board", BUSY, source=SOURCE))), user)
    assert [device.id for device in desk.world.get(ME).devices] == ["wall-board"]
    desk.ask(basic(State.AWAY), user)
    assert [device.id for device in desk.world.get(ME).devices] == ["cisco-pws"]


def test_the_reason_of_120_and_135_is_told() -> None:
    """Not only the code."""
    desk = DirectSimulator(Options(max_contacts=3))
    _, user, *_ = desk.ready()
    refusal = desk.ask(rich(None), user)
    assert isinstance(refusal, m.Refusal)
    assert refusal.reason == "RICH_PRESENCE needs a richPresence with a document in it."
    many = tuple(f"c{number}@example.com" for number in range(4))
    refusal = desk.ask(m.GetPolledPresence(many), user)
    assert refusal == m.Refusal(135, "There are 4 of them; 3 are the limit.")
    refusal = desk.ask(m.Subscribe(many[:2], 1, 1), user)
    assert refusal == m.Refusal(135, "The subscription would have 4 of them; 3 are the limit.")


def test_an_end_user_with_a_domain_keeps_it() -> None:
    """Otherwise the server's own domain is added."""
    direct = DirectSimulator()
    user = direct.end_user(direct.application(), "Someone@elsewhere.example")
    direct.ask(basic(State.BUSY), user)
    assert direct.world.get("someone@elsewhere.example").state is State.BUSY
