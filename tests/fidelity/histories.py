"""Histories of steps for Hypothesis: mostly what a program does, often what it must not do."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from hypothesis import strategies as st

from pws_soap.server import Device, State
from service.facade.accounts import FREE
from tests.fidelity import steps as s
from tests.fidelity.forms import FORMS
from tests.support.soap_by_hand import PATH, PWS

T = TypeVar("T")


def _often(*weighted: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    """One of them, each so often. (`one_of` takes nested ones apart, and so loses their weights.)"""
    return st.sampled_from([each for weight, each in weighted for _ in range(weight)]).flatmap(lambda each: each)


_PLACES = st.integers(0, 3)
_HOW = st.fixed_dictionaries({
    "form": _often((5, st.just("plain")), (1, st.sampled_from(list(FORMS)))),
    "soap": st.sampled_from(["1.1", "1.1", "1.2"]),
})  # fmt: skip
_USER = st.builds(s.Key, st.just("user"), _PLACES)
_APPLICATION = st.builds(s.Key, st.just("application"), _PLACES)
_ODD = st.sampled_from([s.Key("wrong"), s.Key("none"), s.Key("application"), s.Key("user")])
_BY_USER = _often((9, _USER), (1, _ODD))
_BY_APPLICATION = _often((9, _APPLICATION), (1, _ODD))
_ID = _often((9, st.builds(s.Id, _PLACES)), (1, st.just(s.Id(None))))
_EXPIRATION = _often(
    (4, st.sampled_from(["3600", "7200", "86399"])),
    (1, st.sampled_from(["0", "3599", "86400", "86401", "-1", "", "soon"])),
)
_CONTACT = st.sampled_from([*s.WATCHED, *s.WATCHED, s.NOBODY, s.SPELLED])
_ODD_CONTACT = st.sampled_from(
    ["", " ", "ann", "sip:ann@example.com", "a b@example.com", "ann@mail.example@im.example"]
)
_MANY = tuple(f"n{number}@example.com" for number in range(150))
_CONTACTS = _often(
    (1, st.just((*_MANY, *s.WATCHED))),
    (18, st.lists(_CONTACT, min_size=1, max_size=5).map(tuple)),
    (2, st.lists(st.one_of(_CONTACT, _ODD_CONTACT), max_size=3).map(tuple)),
)
_PRESENCE_TYPE = st.sampled_from([*["BASIC_PRESENCE", "RICH_PRESENCE"] * 4, "SOME", ""])
_URL = st.sampled_from([*s.ENDPOINTS * 5, *s.NO_SERVERS, s.OUTSIDE, None, "", " ", "http://127.0.0.1:8080/a b"])
_FORCE = st.sampled_from([*[""] * 6, "false", "false", "true", "1", "maybe"])
_EVENT = st.sampled_from([*["PRESENCE_NOTIFICATION"] * 9, "OTHER"])

_LOGINS = st.sampled_from([
    *list(s.APPLICATIONS.items()) * 4, ("pwsapp", "wrong"), ("pwsapp", ""), ("", "secret"),
    ("stranger", "secret"), ("dispatcher", "secret"), (" pwsapp ", "secret"),
])  # fmt: skip
_NAMES = st.sampled_from([*s.END_USERS * 5, "stranger", "", "pwsapp"])


def _login(login: tuple[str, str], force: str, how: dict[str, Any]) -> s.Call:  # fields of Call
    return s.login(*login, force=force, **how)


def _with(function: Any, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[s.Call]:  # of any operation
    return st.builds(lambda how, *values: function(*values, **how), _HOW, *arguments)


_BASIC = st.sampled_from([
    *(f"<basicPresence>{state}</basicPresence><override>{override}</override>"
      for state in ("AVAILABLE", "BUSY", "DND", "AWAY", "UNKNOWN") for override in ("true", "false")),
    "<override>false</override>", "<basicPresence>BUSY</basicPresence><override>perhaps</override>",
])  # fmt: skip


def _document(tuple_id: str, content: str, source: str = "Presence Web Service") -> str:
    """A rich document that an end user sets."""
    return (
        '<richPresence><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:dispatcher@example.com">'
        f"{content}<tuple id={tuple_id!r}><status><basic>open</basic></status><source>{source}</source></tuple>"
        "</presence></richPresence>"
    )


_BUSY = '<person xmlns="urn:cisco:params:xml:ns:pidf:rpid"><activities><busy/></activities></person>'
_RICH = st.sampled_from([
    _document("pws-override", _BUSY) + "<override>true</override>",
    _document("laptop", _BUSY) + "<override>false</override>",
    _document("pws-override", "<clear/>") + "<override>true</override>",
    _document("laptop", _BUSY) + "<override>true</override>",
    _document("laptop", _BUSY, "elsewhere") + "<override>false</override>",
    "<richPresence>no document</richPresence><override>true</override>",
])  # fmt: skip
SETTINGS: Final = st.one_of(
    _with(s.set_presence, _BY_USER, st.just("BASIC_PRESENCE"), _BASIC, _EXPIRATION),
    _with(s.set_presence, _BY_USER, st.just("RICH_PRESENCE"), _RICH, _EXPIRATION),
)
"""Calls of setPresence, right and wrong ones."""

_MAYBE_NEW = _often((1, st.just(s.NEW)), (1, _ID))
CALLS: Final = _often(
    (1, st.builds(_login, _LOGINS, _FORCE, _HOW)),
    (2, st.builds(lambda name, by, force, how: s.login_end_user(name, by, force=force, **how),
                  _NAMES, _BY_APPLICATION, _FORCE, _HOW)),
    (2, _with(s.register, _BY_APPLICATION, _URL, _MAYBE_NEW, _EXPIRATION)),
    (1, _with(s.unregister, _BY_APPLICATION, _ID)),
    (3, _with(s.subscribe, _BY_USER, _often((4, _CONTACTS), (1, st.none())), _ID, _MAYBE_NEW,
              _often((4, _EXPIRATION), (1, st.none())), _EVENT)),
    (1, _with(s.unsubscribe, _BY_USER, _ID, _often((3, _CONTACTS), (1, st.none())))),
    (6, _with(s.fetch, _BY_USER, _ID, _PRESENCE_TYPE)),
    (3, _with(s.poll, _BY_USER, _CONTACTS, _PRESENCE_TYPE)),
)  # fmt: skip
"""Calls of seven operations: all but setPresence and logout."""
LOGOUTS: Final = _with(s.logout, st.one_of(_USER, _APPLICATION, _ODD))

_PHONE = (Device("cmp-8001-162", open=True, audio=True, address="sip:8001@198.51.100.7:5060", priority="0.8"),)
FIELDS: Final = st.one_of(
    *[st.sampled_from([state for state in State if state is not State.UNKNOWN]).map(lambda state: (("state", state),))]
    * 3,
    st.sampled_from([(), ("on-the-phone",), ("meeting",)]).map(lambda activities: (("activities", activities),)),
    st.booleans().map(lambda idle: (("idle", idle),)),
    st.sampled_from([None, "back at <5>", 'says "&"']).map(lambda note: (("note", note),)),
    st.sampled_from(["Ann Example", "Zoë"]).map(lambda name: (("display_name", name),)),
    st.sampled_from([(), _PHONE]).map(lambda devices: (("devices", devices),)),
)
CHANGES: Final = st.builds(s.Change, st.sampled_from([*s.WATCHED, s.WATCHED[0]]), FIELDS)
LEAVES: Final = st.builds(s.Leave, st.sampled_from(s.WATCHED))
TIME: Final = st.builds(s.Pass, st.sampled_from([30.0, 200.0, 1800.0, 3630.0, 7230.0, 86_430.0]))

_POST = (("content-type", "text/xml"),)
EXCHANGES: Final = st.sampled_from([
    s.Exchange("GET", f"{PATH}?wsdl"),
    s.Exchange("GET", f"{PATH}/?WSDL=1"),
    s.Exchange("HEAD", f"{PATH}?wsdl"),
    s.Exchange("GET", PATH),
    s.Exchange("GET", "/"),
    s.Exchange("PUT", PATH, body=b"x"),
    s.Exchange("DELETE", PATH),
    s.Exchange("POST", "/elsewhere", _POST, b"<x/>"),
    s.Exchange("POST", PATH, _POST, (b"<x/>", b"")),
    s.Exchange("POST", PATH, (*_POST, ("content-length", "3")), b"<x/>"),
    s.Exchange("POST", PATH, (*_POST, ("content-length", "more")), b"<x/>"),
    s.Exchange("POST", PATH, (*_POST, ("content-length", "999999999999")), b"<x/>"),
    s.Exchange("POST", PATH, _POST, f'<login xmlns="{PWS}"/>'.encode()),
])  # fmt: skip
"""Requests of HTTP that are no calls."""

BEGINNINGS: Final[tuple[tuple[s.Step, ...], ...]] = (
    (),
    (s.login("pwsapp", "secret"), s.login_end_user("dispatcher", s.Key("application"))),
    (
        s.login("pwsapp", "secret"),
        s.login_end_user("dispatcher", s.Key("application")),
        s.register(s.Key("application"), s.ENDPOINTS[0], s.NEW, "86399"),
        s.subscribe(s.Key("user"), s.WATCHED[:3], s.Id(), s.NEW, "86400"),
        s.fetch(s.Key("user"), s.Id(), "RICH_PRESENCE"),
    ),
    (
        s.login("pwsapp", "secret"),
        s.login("wallboard", "brick"),
        s.login_end_user("dispatcher", s.Key("application")),
        s.login_end_user("supervisor", s.Key("application", 1)),
        s.register(s.Key("application"), s.ENDPOINTS[1], s.NEW, "3600"),
        s.register(s.Key("application", 1), s.ENDPOINTS[0], s.NEW, "7200"),
        s.subscribe(s.Key("user"), s.WATCHED[:2], s.Id(), s.NEW, "3600"),
        s.subscribe(s.Key("user", 1), s.WATCHED[1:], s.Id(1), s.NEW, "7200"),
    ),
)
"""How histories begin: nobody is there, or one program or two are at work."""
_BEGINNING = st.sampled_from([*BEGINNINGS, *BEGINNINGS[2:]])


def histories(size: int, *, settings: bool) -> st.SearchStrategy[list[s.Step]]:
    """Histories of up to `size` steps behind their beginning; with `settings`, end users set their own presence."""
    steps: st.SearchStrategy[s.Step] = _often(
        (12, CALLS),
        (6, CHANGES),
        (1, TIME),
        (1, LEAVES),
        (1, LOGOUTS),
        (1, EXCHANGES),
        (2 if settings else 0, SETTINGS),
    )
    more = st.lists(steps, min_size=size // 2, max_size=size)
    return st.builds(lambda begin, more: [*begin, *_few_wrong_passwords(more)], _BEGINNING, more)


def _few_wrong_passwords(steps: list[s.Step]) -> list[s.Step]:
    """The steps without most wrong passwords: after some the façade makes one wait, and the server does not."""
    wrong = [step for step in steps if isinstance(step, s.Call) and step.is_guess]
    return [step for step in steps if step not in wrong[FREE - 1 :]]
