"""How large and how deep XML may be: what is beyond is refused, and found in time that grows with the length alone."""

from __future__ import annotations

import pytest

from pws_soap.server import Refused, ServerOptions
from pws_soap.server import messages as m
from pws_soap.server.soap import limits, pidf_reader
from pws_soap.server.soap.requests import read
from tests.support.soap_by_hand import ANN, PWS, contacts_list, envelope, fetch, login, poll

OPTIONS = ServerOptions()


def declarations(count: int) -> str:
    """So many declarations of namespaces."""
    return " ".join(f'xmlns:n{number}="urn:{number}"' for number in range(count))


def attributes(count: int) -> str:
    """So many attributes."""
    return " ".join(f'a{number}=""' for number in range(count))


def nested(count: int, declared: str = "") -> str:
    """Elements inside each other."""
    return "".join(f"<n{number} {declared}>" for number in range(count)) + "".join(
        f"</n{number}>" for number in reversed(range(count))
    )


TOO_MUCH = [
    (login().replace("<login ", f"<login {declarations(300_000)} "), "a tag has more than"),
    (login().replace("<login ", f"<login {declarations(40_000)} "), "a tag has more than"),
    (login().replace("<login ", f"<login {declarations(257)} "), "attributes"),
    (login().replace("<login ", f"<login {attributes(20_000)} "), "an element has more than 256 attributes"),
    ("".join(f'<n{number} xmlns:p{number}="urn:x">' for number in range(40_000)), "inside each other"),
    (nested(60, 'xmlns:a="urn:a" xmlns:b="urn:b" xmlns:c="urn:c" xmlns:d="urn:d" xmlns:e="urn:e"'), "256 namespaces"),
    (nested(limits.MAX_DEPTH), "100 elements are inside each other"),
    ("<x/>" * (limits.MAX_ELEMENTS + 1), "more than 250000 elements"),
    (f"<!--{'x' * 1_000_000}-->", "a comment has more than 262144 bytes"),
    (f"<?x {'x' * 1_000_000}?>", "a processing instruction has more than 262144 bytes"),
    (f'<x y="{"z" * 1_000_000}"/>', "a tag has more than"),
]


@pytest.mark.parametrize(("content", "reason"), TOO_MUCH, ids=[reason for _, reason in TOO_MUCH])
@pytest.mark.parametrize("strict", [False, True])
def test_too_much_is_refused_before_a_tree_is_made(
    content: str, reason: str, strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code 102, also where the option says strict. The parser that needs long for it never sees it."""
    monkeypatch.setattr("pws_soap.server.soap.limits.etree.fromstring", lambda *given: pytest.fail("a tree was made"))
    request = read(envelope(content, "key"), ServerOptions(strict=strict))
    assert request.problem == 102
    assert reason in request.reason


def test_a_comment_of_256_kilobytes_is_within_the_limits_and_one_of_400_is_not() -> None:
    """What lies between depends on where it begins."""
    for size, is_read in ((limits.MAX_TAG - 10, True), (400_000, False)):
        for shift in (0, 30_000, 60_000):
            body = envelope(" " * shift + f"<!--{'x' * size}-->" + fetch())
            assert (read(body, OPTIONS).call is not None) is is_read


def test_what_is_within_the_limits_is_read() -> None:
    """200 namespaces at once, and 5000 contacts with two each, as some toolkits write them."""
    body = fetch().replace(" xmlns=", f" {declarations(200)} xmlns=", 1)
    assert read(envelope(body), OPTIONS).call == m.GetSubscribedPresence(1)
    people = [f"c{number}@example.com" for number in range(5000)]
    listed = contacts_list(*people).replace("<contact ", f'<contact xmlns="{PWS}" xmlns:i="urn:i" ')
    call = read(envelope(poll(ANN).replace(contacts_list(ANN), listed)), ServerOptions(contacts_per_list=5000)).call
    assert call == m.GetPolledPresence(tuple(people))


@pytest.mark.parametrize(("content", "reason"), TOO_MUCH, ids=[reason for _, reason in TOO_MUCH])
def test_a_document_in_text_has_the_same_limits(content: str, reason: str) -> None:
    """It is parsed too, by the thread of the event loop: code 120, and at most 65536 bytes."""
    with pytest.raises(Refused) as refused:
        pidf_reader.read(f"<presence>{content}</presence>".encode(), override=False)
    assert refused.value.code == 120
    assert reason in refused.value.reason or "more than 65536 bytes" in refused.value.reason


def test_a_mistake_that_only_one_parser_finds_is_one() -> None:
    """Names of the fifth edition of XML 1.0, which expat does not know."""
    assert read(envelope("<\U00010000/>"), OPTIONS).problem == 102
