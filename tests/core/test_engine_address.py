"""Where the engine is, and what a wrong URL is told."""

from __future__ import annotations

import pytest

from service.core.engine_address import EngineAddress, parse


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("redis://engine", EngineAddress((("engine", 6379),)), "engine:6379"),
        ("REDISS://engine:7000/3", EngineAddress((("engine", 7000),), tls=True, database=3), "engine:7000"),
        ("redis://pws@[::1]:6380/", EngineAddress((("::1", 6380),), username="pws"), "[::1]:6380"),
        (
            "redis+sentinel://one,two:26380/main/1",
            EngineAddress((("one", 26379), ("two", 26380)), service="main", database=1),
            "main (sentinels one:26379, two:26380)",
        ),
        (
            "rediss+sentinel://a%40b@one/main",
            EngineAddress((("one", 26379),), tls=True, service="main", username="a@b"),
            "main (sentinels one:26379)",
        ),
    ],
)
def test_what_is_read(url: str, address: EngineAddress, shown: str) -> None:
    """Each form."""
    assert parse(url) == address
    assert str(parse(url)) == shown


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("engine:6379", "write one of redis://"),
        ("http://engine", "write one of redis://"),
        ("redis://pws:secret@engine", "use password_file"),
        ("redis://:secret@engine", "use password_file"),
        ("redis://@engine", "empty name"),
        ("redis://", "no host and port"),
        ("redis://engine:port", "no host and port"),
        ("redis://engine:0", "no host and port"),
        ("redis://engine:70000", "no host and port"),
        ("redis://en gine", "no host and port"),
        ("redis://one,two", r"redis\+sentinel://"),
        ("redis://engine/main", "the database is a number"),
        ("redis://engine/1/2", "the database is a number"),
        ("redis://engine?db=1", "nothing may follow"),
        ("redis+sentinel://one", "name the service"),
        ("redis+sentinel://one,/main", "no host and port"),
    ],
)
def test_what_is_not(url: str, message: str) -> None:
    """The text says what to write, and holds no password."""
    with pytest.raises(ValueError, match=message) as wrong:
        parse(url)
    assert "secret" not in str(wrong.value)
