"""Faults: each code of the protocol has its class and its policy, and is found in whatever form the server sends it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from pws_soap import errors
from pws_soap.client import PwsClient
from pws_soap.codes import CODES, Policy
from pws_soap.errors import Fault, PwsError
from pws_soap.memory import MemoryTransport
from pws_soap.transport import Reply
from tests.soap.samples import (
    KEY,
    NODE,
    NS,
    PASSWORD,
    application,
    basic,
    description,
    end_user,
    envelope,
    fault,
    fault12,
    logged_in,
    status,
)

PROTOCOL = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()

EXPECTED: dict[type[Fault], tuple[set[int], Policy | None]] = {
    errors.NotLoggedIn: ({100, 101}, Policy.LOG_IN_AGAIN),
    errors.LoginRefused: ({111, 112, 113, 114}, Policy.GIVE_UP),
    errors.AlreadyLoggedIn: ({160}, Policy.RETRY),
    errors.EndpointLost: ({132, 136}, Policy.REGISTER_AGAIN),
    errors.SubscriptionLost: ({133, 137}, Policy.SUBSCRIBE_AGAIN),
    errors.Exhausted: ({138, 139, 206, 207, 211}, Policy.FREE_RESOURCES),
    errors.Throttled: ({210, 212}, Policy.BACK_OFF),
    errors.ServerTrouble: ({200, 201, 202, 203, 204, 205, 208, 209}, Policy.READ_AGAIN),
    errors.RequestRefused: (
        {102, 103, 110, 115, 121, 122, 123, 124, 125, 130, 131, 134, 135}
        | {140, 141, 142, 143, 144, 145, 146, 147, 148, 150, 161, 162},
        Policy.GIVE_UP,
    ),
}
"""Every class of fault with its codes and its policy; 120 alone, `could not be set`, is refused and worth a retry."""
CLASS_OF = {code: (kind, policy) for kind, (codes, policy) in EXPECTED.items() for code in codes} | {
    120: (errors.RequestRefused, Policy.RETRY)
}


async def raised(reply: bytes, http: int = 200) -> Fault:
    """The fault that a logout with this reply ends with."""
    pws = PwsClient(NODE, transport=MemoryTransport([Reply(http, reply)]))
    with pytest.raises(Fault) as caught:
        await pws.logout(end_user())
    return caught.value


# The table


def protocol_codes() -> set[int]:
    """The codes in the table of section 3 of docs/protocol.md."""
    section = PROTOCOL.partition("## 3. Faults")[2].partition("## 4.")[0]
    found: set[int] = set()
    for row in re.findall(r"^\|(.+)\|$", section, re.MULTILINE):
        cells = [cell.strip() for cell in row.split("|")]
        for cell in cells[0::3]:
            first, _, last = cell.partition("..")
            if last:
                found |= set(range(int(first), int(last) + 1))
            else:
                found |= {int(number) for number in re.findall(r"\b\d{3}\b", cell)}
    return found


def test_codes_are_exactly_those_of_the_protocol() -> None:
    """None is left out of the table and none is made up."""
    assert set(CODES) == protocol_codes()
    assert len(CODES) == 52
    assert all(CODES[number].number == number and CODES[number].meaning for number in CODES)


def test_every_code_has_its_expected_class() -> None:
    """The expectations of this module are complete."""
    assert set(CLASS_OF) == set(CODES)


@pytest.mark.parametrize("code", CODES)
async def test_code_has_its_class_and_policy(code: int) -> None:
    """From the wire to the exception, with the HTTP status that the server sends with it."""
    http = 503 if code in {210, 212} else 200
    error = await raised(fault(description(code, "The server's words", "A cure")), http)
    kind, policy = CLASS_OF[code]
    assert type(error) is kind
    assert (error.code, error.policy, error.status, error.node, error.operation) == (code, policy, http, NODE, "logout")
    assert (error.message, error.fix) == ("The server's words", "A cure")
    healed = policy in {Policy.LOG_IN_AGAIN, Policy.REGISTER_AGAIN, Policy.SUBSCRIBE_AGAIN, Policy.BACK_OFF}
    advice = "" if healed else "; fix: A cure"  # only where somebody has to act
    assert str(error) == f"logout refused with code {code} ({CODES[code].meaning}): The server's words{advice}"


def test_what_the_server_says_is_not_said_twice_and_has_no_full_stop_in_the_middle() -> None:
    again = Fault.of(114, "The login failed.", "Check the password.", operation="login")
    meaning = "login refused with code 114 (login failed: wrong user name or password)"
    assert str(again) == f"{meaning}; fix: Check the password."
    more = Fault.of(114, "The account is locked.", "Unlock it.", operation="login")
    assert str(more) == f"{meaning}: The account is locked; fix: Unlock it."


# The tree in the docstring


def tree_lines() -> list[tuple[int, str, str]]:
    """The tree of the docstring: depth, name and note of each class."""
    lines = re.findall(r"^    ([│├└─ ]*)(\w+)(.*)$", (errors.__doc__ or "").partition("::\n")[2], re.MULTILINE)
    return [(len(indent) // 4, name, note.strip()) for indent, name, note in lines if name[0].isupper()]


def test_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    """Each class that exists stands there under its parent, and no other."""
    documented: dict[str, str] = {}
    above: list[str] = []
    for depth, name, _ in tree_lines():
        above[depth:] = [name]
        documented[name] = above[depth - 1] if depth else "Exception"
    existing = {
        name: kind.__bases__[0].__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, PwsError) and kind.__module__ == errors.__name__
    }
    assert documented == existing


def test_tree_in_the_docstring_holds_the_codes() -> None:
    """Each class of fault stands there with exactly its codes."""
    documented = {
        name: {int(number) for number in re.findall(r"\b[12]\d\d\b", note)}
        for _, name, note in tree_lines()
        if issubclass(getattr(errors, name), Fault) and name not in {"Fault", "RequestRefused"}
    }
    assert documented == {kind.__name__: codes for kind, (codes, _) in EXPECTED.items() if kind.__name__ in documented}
    assert set(documented) == {kind.__name__ for kind in EXPECTED} - {"RequestRefused"}


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        (errors.PwsError, Policy.GIVE_UP),
        (errors.ArgumentError, Policy.GIVE_UP),
        (errors.ContractError, Policy.GIVE_UP),
        (errors.Redirected, Policy.MOVE),
        (errors.TransportError, Policy.RETRY),
        (errors.Unreachable, Policy.RETRY),
        (errors.UntrustedServer, Policy.GIVE_UP),
        *((kind, Policy.READ_AGAIN) for kind in (errors.OutcomeUnknown, errors.TimedOut, errors.Disconnected)),
        *((kind, Policy.READ_AGAIN) for kind in (errors.EmptyReply, errors.TruncatedReply, errors.NotXml)),
        *((kind, Policy.READ_AGAIN) for kind in (errors.ReplyTooLarge, errors.ForbiddenXml, errors.UnexpectedReply)),
    ],
)
def test_policy_of_a_class(kind: type[PwsError], policy: Policy) -> None:
    """What to do about errors that have no code."""
    assert kind.policy is policy


# The forms of a fault

TEXT = description(133, "Invalid subscription", "Subscribe again")
BARE = description(133, "Invalid subscription", "Subscribe again", xmlns=None)
FORMS = {
    "1.1, in the namespace": fault(TEXT),
    "1.1, in no namespace": fault(BARE),
    "1.1, under a prefix": fault(
        f'<p:description xmlns:p="{NS}"><p:code>133</p:code><p:message>Invalid subscription</p:message>'
        "<p:fix>Subscribe again</p:fix></p:description>"
    ),
    "1.1, nested": fault(f"<x:wrapper xmlns:x='urn:x'><y>{TEXT}</y></x:wrapper>"),
    "1.1, without description": fault(
        "<code> 133 </code><message>\n Invalid\n subscription </message><fix>Subscribe again</fix>"
    ),
    "1.1, with empty ones before": fault(f"<description><code/><message/><fix/></description>{TEXT}"),
    "1.1, with comments": fault(TEXT.replace("<code>", "<!-- a --><code><!-- b -->")),
    "1.1, other order and case": fault(
        "<Description><Fix>Subscribe again</Fix><Message>Invalid subscription</Message><Code>133</Code></Description>"
    ),
    "1.2, in the namespace": fault12(TEXT),
    "1.2, in no namespace": fault12(BARE),
    "1.2, nested": fault12(f"<x>{TEXT}</x>"),
    "bare description": TEXT.encode(),
    "bare description, no namespace": BARE.encode(),
    "bare description, declared": b'<?xml version="1.0" encoding="UTF-8"?>\n' + TEXT.encode(),
}


@pytest.mark.parametrize("http", [200, 400, 500, 503])
@pytest.mark.parametrize("form", FORMS)
async def test_fault_is_found_in_every_form_and_status(form: str, http: int) -> None:
    """The code alone decides, also over the HTTP status."""
    error = await raised(FORMS[form], http)
    assert type(error) is errors.SubscriptionLost
    assert (error.code, error.message, error.fix) == (133, "Invalid subscription", "Subscribe again")
    assert (error.status, error.policy) == (http, Policy.SUBSCRIBE_AGAIN)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \r\n",
        b"<html><body>Service Unavailable</body></html>",
        b"<!DOCTYPE html><html><br></html>",
        b"Service Unavailable",
        b"<SOAP-ENV:Envelope",
        status("logout"),
        envelope(""),
        b"<something/>",
        fault(None, "Busy"),
        fault12(None, "Busy"),
        description("", "Busy").encode(),
    ],
)
async def test_any_503_is_an_overload(body: bytes) -> None:
    """Empty, a page, text, broken: back off."""
    error = await raised(body, 503)
    assert type(error) is errors.Throttled
    assert (error.code, error.status, error.policy, error.node) == (None, 503, Policy.BACK_OFF, NODE)
    assert "HTTP 503" in str(error)


@pytest.mark.parametrize("code", [1, 99, 104, 300, 999_999_999])
async def test_unknown_code_is_the_server_s_trouble(code: int) -> None:
    """The number is kept, and the server's words are the meaning."""
    error = await raised(fault(description(code, "New in release 99", "")))
    assert type(error) is errors.ServerTrouble
    assert (error.code, error.meaning, error.policy) == (code, "New in release 99", Policy.READ_AGAIN)
    assert error.may_have_acted
    assert str(error) == f"logout refused with code {code} (New in release 99)"


@pytest.mark.parametrize("code", ["E133", "-133", "1e2", "133.0", "١٣٣", "0x85", "9999999999", "", "133 134", "²"])
async def test_code_that_is_no_number_is_none(code: str) -> None:
    """It does not raise anything else, and the words are kept."""
    error = await raised(fault(description(code, "Words")))
    assert type(error) is errors.ServerTrouble
    assert (error.code, error.message) == (None, "Words")


@pytest.mark.parametrize("reply", [fault(None, "It broke"), fault12(None, "It broke"), fault("", "It broke")])
async def test_fault_without_detail_has_its_text(reply: bytes) -> None:
    """faultstring in 1.1, Text in 1.2; the status is told where it is not 200."""
    error = await raised(reply, 500)
    assert type(error) is errors.ServerTrouble
    assert (error.code, error.message, error.policy) == (None, "It broke", Policy.READ_AGAIN)
    assert str(error) == "logout refused with HTTP 500 (It broke)"


async def test_fault_without_anything_still_says_something() -> None:
    """An empty Fault element."""
    error = await raised(envelope("<SOAP-ENV:Fault/>"))
    assert (error.code, error.meaning) == (None, "fault without a description")
    assert str(error) == "logout refused (fault without a description)"


async def test_words_of_the_server_are_cut() -> None:
    """A fault of a megabyte makes no message of a megabyte."""
    error = await raised(fault(description(133, "m" * 1_000_000, "f" * 1_000_000)))
    assert (len(error.message), len(error.fix)) == (500, 500)


async def test_words_that_repeat_the_meaning_are_said_once() -> None:
    """The table's meaning and the server's message are often the same."""
    error = await raised(fault(description(133, "No such subscription", "")))
    assert str(error) == "logout refused with code 133 (no such subscription)"


@pytest.mark.parametrize("value", ["FAILURE", "", "success", "MAYBE"])
async def test_status_other_than_success_is_a_fault(value: str) -> None:
    """ResponseStatusType has two values, and only one of them is good."""
    error = await raised(status("logout", value))
    assert type(error) is errors.ServerTrouble
    assert (error.code, error.message, error.node, error.operation) == (None, "status FAILURE", NODE, "logout")


async def test_fault_in_every_operation() -> None:
    """One of them per kind of reply: small, status and presence."""
    reply = fault(description(101))
    pws = PwsClient(NODE, transport=MemoryTransport([reply] * 3))
    for call in (
        pws.login_end_user(application(), "dispatcher"),
        pws.get_subscribed_presence(end_user(), 7),
        pws.unsubscribe(end_user(), 7),
    ):
        with pytest.raises(errors.NotLoggedIn):
            await call


# Replies that are neither a fault nor the response

UNEXPECTED = {
    "another operation's": (status("unsubscribe"), "'unsubscribeResponse'"),
    "an envelope without a body": (
        b'<E:Envelope xmlns:E="http://schemas.xmlsoap.org/soap/envelope/"/>',
        "an envelope with no bodies",
    ),
    "an empty body": (envelope("<!-- nothing -->"), "an empty body"),
    "a fault beside it": (
        envelope("<logoutResponse><status>SUCCESS</status></logoutResponse><Fault/>"),
        "'logoutResponse', 'Fault'",
    ),
    "it twice": (
        envelope("<logoutResponse><status>SUCCESS</status></logoutResponse>" * 2),
        "'logoutResponse', 'logoutResponse'",
    ),
    "no envelope": (b"<logoutResponse/>", "an element 'logoutResponse'"),
    "another namespace": (
        envelope("<logoutResponse xmlns='urn:other'><status>SUCCESS</status></logoutResponse>"),
        "does not fit the WSDL",
    ),
    "more than the WSDL says": (
        status("logout").replace(b"</status>", b"</status><status>SUCCESS</status><x/>"),
        "does not fit the WSDL",
    ),
}


@pytest.mark.parametrize("http", [200, 404])
@pytest.mark.parametrize("name", UNEXPECTED)
async def test_reply_that_is_not_the_operation_s_is_unexpected(name: str, http: int) -> None:
    """The message names what came, where, and an HTTP status other than 200."""
    body, words = UNEXPECTED[name]
    if http == 404 and "WSDL" in words:
        words = "HTTP 404 with 'logoutResponse' and not 200"
    pws = PwsClient(NODE, transport=MemoryTransport([Reply(http, body)]))
    with pytest.raises(errors.UnexpectedReply, match=re.escape(words)) as caught:
        await pws.logout(end_user())
    assert str(caught.value).startswith(f"logout at {NODE}: ")
    if "WSDL" not in words:
        assert ("HTTP 404" in str(caught.value)) == (http == 404)
    assert (caught.value.node, caught.value.operation) == (NODE, "logout")


@pytest.mark.parametrize(
    ("body", "http", "kind", "words"),
    [
        (b"", 200, errors.EmptyReply, "HTTP 200 with an empty body"),
        (b" \n", 302, errors.EmptyReply, "HTTP 302 with an empty body"),
        (b"<!doctype html><p>Log in", 401, errors.NotXml, "HTTP 401: the reply is an HTML page"),
        (b"Not found", 404, errors.NotXml, "HTTP 404: the reply is not XML: 'Not found'"),
        (logged_in()[:-30], 200, errors.TruncatedReply, "the reply ends in the middle of its XML"),
        (b"<!DOCTYPE x []><x/>", 500, errors.ForbiddenXml, "HTTP 500: the reply has a document type"),
    ],
)
async def test_unreadable_reply_is_named_with_its_place(
    body: bytes, http: int, kind: type[errors.UnreadableReply], words: str
) -> None:
    """Operation, node, HTTP status and what is wrong, each once."""
    pws = PwsClient(NODE, transport=MemoryTransport([Reply(http, body)]))
    with pytest.raises(kind) as caught:
        await pws.login("pwsapp", PASSWORD)
    assert str(caught.value).startswith(f"login at {NODE}: {words}")
    assert str(caught.value).count("login") == 1


@pytest.mark.parametrize("http", [201, 203, 404, 500, 502, 503, 504])
async def test_a_good_reply_counts_with_status_200_alone(http: int) -> None:
    """With any other one somebody between the server and us has a word in it as well."""
    pws = PwsClient(NODE, transport=MemoryTransport([Reply(http, basic([("ann@example.com", "BUSY")]))]))
    with pytest.raises(PwsError, match=str(http)) as caught:
        await pws.get_subscribed_presence(end_user(), 7)
    assert caught.value.may_have_acted


NOT_DONE = ({*range(100, 163), 210, 211, 212} & set(CODES)) - {120}


def test_which_codes_prove_that_nothing_was_done() -> None:
    """And each says why; failures in the midst of the work do not."""
    assert {code.number for code in CODES.values() if code.refused} == NOT_DONE
    assert set(CODES) - NOT_DONE == {120, *range(200, 210)}
    for number, code in CODES.items():
        assert Fault.of(number).may_have_acted == (code.refused is None)


@pytest.mark.parametrize("status", [200, 500, 502, 503, 504])
@pytest.mark.parametrize("code", [None, 0, 104, 300, 503])
def test_a_fault_that_is_not_the_server_s_own_word_proves_nothing(code: int | None, status: int) -> None:
    assert Fault.of(code, "upstream", status=status).may_have_acted


@pytest.mark.parametrize("reply", [b"", b"<html/>", b'{"error": 503}', b"<E:Envelope xmlns:E='", fault(None, "busy")])
@pytest.mark.parametrize("http", [502, 503, 504])
async def test_a_gateway_s_page_proves_nothing(reply: bytes, http: int) -> None:
    pws = PwsClient(NODE, transport=MemoryTransport([Reply(http, reply)]))
    with pytest.raises(PwsError) as caught:
        await pws.get_subscribed_presence(end_user(), 7)
    assert caught.value.may_have_acted


async def test_the_code_of_a_gateway_is_not_the_server_s() -> None:
    """A number called `code` in a namespace of its own."""
    detail = '<x:error xmlns:x="urn:gateway"><x:code>101</x:code><x:message>no route</x:message></x:error>'
    error = await raised(fault(detail, "no upstream"))
    assert type(error) is errors.ServerTrouble
    assert (error.code, error.may_have_acted) == (None, True)


def test_fault_can_be_shown() -> None:
    """Its repr is its text, without a session key."""
    error = Fault.of(101, "The key is gone", status=200, operation="logout", node=NODE)
    assert repr(error).startswith("NotLoggedIn('logout refused with code 101 (session key not valid): The key is gone'")
    assert KEY not in repr(error)
