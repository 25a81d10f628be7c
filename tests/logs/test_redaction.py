"""No known secret passes, in whatever spelling, and nothing that looks like one."""

from __future__ import annotations

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pws_soap.models import Secret
from service.access.keys import HOW
from service.logs.redaction import HIDDEN, MAX_PASSING, SHORTEST, Redactor

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST, max_size=30)


@given(texts, st.text(), st.text())
def test_a_secret_is_hidden_however_it_is_written(secret: str, before: str, after: str) -> None:
    redact = Redactor([Secret(secret)])
    for written in (
        secret,
        repr(secret)[1:-1],
        repr(secret.encode())[2:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        html.escape(secret, quote=False),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        quote(secret, safe="").lower() if secret.islower() else secret,
    ):
        assert written not in redact(f"\x00{written}\x00").replace(HIDDEN, "\x01")
        assert written not in redact(f"{before}\x00{written}\x00{after}").replace(HIDDEN, "\x01") or (
            written in before.replace(written, "", 1) + after
        )


@given(st.lists(st.text("ab", min_size=SHORTEST, max_size=7), min_size=1, max_size=5), st.text("abc", max_size=40))
def test_secrets_that_overlap_leave_nothing_of_each_other(secrets: list[str], text: str) -> None:
    """No character that is part of one remains."""
    left = Redactor(map(Secret, secrets))(text)
    covered = [False] * len(text)
    for secret in secrets:
        for start in range(len(text)):
            if text.startswith(secret, start):
                covered[start : start + len(secret)] = [True] * len(secret)
    assert left.replace(HIDDEN, "") == "".join(
        char for char, is_secret in zip(text, covered, strict=True) if not is_secret
    )


def test_a_short_secret_is_not_looked_for() -> None:
    assert Redactor([Secret("abc"), Secret("")])("abc abcd") == "abc abcd"


def test_secrets_that_pass_are_the_newest_and_those_of_the_configuration_stay() -> None:
    redact = Redactor([Secret("configured")])
    for number in range(MAX_PASSING + 1):
        redact.hide_passing(Secret(f"session-{number:04}"))
    redact.hide_passing(Secret("session-0001"))
    assert redact("configured session-0000 session-0001 session-0200") == f"{HIDDEN} session-0000 {HIDDEN} {HIDDEN}"
    assert "0200" not in repr(redact)


KEY = f"pws_{'Ab-_9' * 9}"[:47]
TOKEN = "dG9rZW4tb2Ytc29tZWJvZHk"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"no such key: {KEY}", KEY),
        (f"no such key: {KEY[:30]}...", KEY[:30]),
        ("the secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw does not sign", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        (f"GET /pws/{TOKEN}/imp1?id=1", TOKEN),
        (f"[(b'authorization', b'Bearer {TOKEN}')]", TOKEN),
        (f"{{'x-api-key': '{TOKEN}'}}", TOKEN),
        (f"X-API-Key: {TOKEN}", TOKEN),
        (f"Authorization: Basic {TOKEN}", TOKEN),
        (f"<soap:Header><p:session-key>{TOKEN}</p:session-key>", TOKEN),
        (f'<password xmlns="">{TOKEN}</password>', TOKEN),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, secret: str) -> None:
    """Nobody has told of it: it is in a request that we never took, or in a reply that we never read."""
    shown = Redactor()(text)
    assert secret not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "text",
    [
        "pws_soap.simulator",
        "the password is refused (code 7)",
        HOW,
        "GET /pws/docs",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert Redactor([Secret("something else")])(text) == text
