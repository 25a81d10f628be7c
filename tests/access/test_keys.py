"""API keys: how they are made, read from a request, and found."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest
from starlette.datastructures import Headers

from service.access.access_headers import AccessHeaders
from service.access.errors import KeyRequired
from service.access.keys import KeyRing, hash_of, new_key, presented
from service.access.principal import Principal, Scope

WHO = Principal("wallboard", frozenset({Scope.READ}))
KEY = "pws_" + "Kx7-" * 10 + "abc"
OTHER = "pws_" + "o" * 43


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers(raw=[(name.lower().encode(), value.encode("latin-1")) for name, value in pairs])


def test_a_key_is_256_random_bits_and_hides_itself() -> None:
    keys = [new_key() for _ in range(100)]
    assert len({key.reveal() for key in keys}) == 100
    assert all(re.fullmatch(r"pws_[A-Za-z0-9_-]{43}", key.reveal()) for key in keys)
    assert keys[0].reveal() not in f"{keys[0]} {keys[0]!r}"


def test_the_hash_is_of_the_whole_key() -> None:
    assert hash_of(KEY) == "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()


@pytest.mark.parametrize(
    "pair",
    [
        ("Authorization", f"Bearer {KEY}"),
        ("authorization", f"bearer   {KEY} "),
        ("X-API-Key", KEY),
        ("X-API-Key", f" {KEY} "),
    ],
)
def test_a_key_comes_in_one_of_two_headers(pair: tuple[str, str]) -> None:
    assert presented(AccessHeaders.of(headers(pair))) == KEY


def test_the_same_key_in_both_is_one_key() -> None:
    assert presented(AccessHeaders.of(headers(("Authorization", f"Bearer {KEY}"), ("X-API-Key", KEY)))) == KEY


def test_no_key_is_none() -> None:
    assert presented(AccessHeaders.of(headers(("Host", "x")))) is None


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ([("Authorization", f"Basic {KEY}")], "another kind than Bearer"),
        ([("Authorization", f"{KEY}")], "another kind than Bearer"),
        ([("Authorization", "")], "another kind than Bearer"),
        ([("Authorization", f"Digest x={KEY}"), ("X-API-Key", KEY)], "another kind than Bearer"),
        ([("Authorization", "Bearer")], "no key"),
        ([("Authorization", f"Bearer {KEY[:-1]}")], "no key"),
        ([("Authorization", f"Bearer {KEY}, Bearer {KEY}")], "no key"),
        ([("X-API-Key", "")], "no key"),
        ([("X-API-Key", KEY.upper())], "no key"),
        ([("X-API-Key", f"{KEY}\u00e9")], "no key"),
        ([("X-API-Key", KEY), ("X-API-Key", OTHER)], "they differ"),
        ([("Authorization", f"Bearer {KEY}"), ("X-API-Key", OTHER)], "they differ"),
    ],
)
def test_what_is_no_key_is_told_without_repeating_it(pairs: list[tuple[str, str]], told: str) -> None:
    with pytest.raises(KeyRequired, match=told) as caught:
        presented(AccessHeaders.of(headers(*pairs)))
    assert KEY[:-1] not in caught.value.detail
    assert caught.value.headers == {"WWW-Authenticate": 'Bearer realm="presence"'}


def test_a_key_is_found_by_its_hash_and_nothing_else() -> None:
    other = new_key().reveal()
    ring = KeyRing([(hash_of(KEY), WHO), (hash_of(other), Principal("other", frozenset()))])
    found = ring.find(KEY)
    assert found is not None
    assert found.principal == WHO
    assert found in ring
    assert ring.find(new_key().reveal()) is None
    assert ring.find(hash_of(KEY)) is None
    assert hash_of(KEY).removeprefix("sha256:") not in repr(ring) + repr(found)


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, also after the right one was found."""
    compared: list[int] = []
    plain = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return plain(one, other)

    ring = KeyRing([(hash_of(new_key().reveal()), WHO) for _ in range(2)] + [(hash_of(KEY), WHO)] * 2)
    monkeypatch.setattr("service.access.keys.hmac.compare_digest", counted)
    assert ring.find(KEY) is not None
    assert ring.find("pws_x") is None
    assert compared == [32] * 8


def test_a_key_of_the_same_name_is_another_key() -> None:
    """So that a stream ends when its key is replaced under the same name."""
    old, new = KeyRing([(hash_of(KEY), WHO)]), KeyRing([(hash_of(new_key().reveal()), WHO)])
    found = old.find(KEY)
    assert found is not None
    assert found not in new
