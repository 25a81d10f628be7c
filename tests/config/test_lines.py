"""In which line of a file each key stands."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from service.config import example_toml
from service.config.lines import lines_of

TEXT = '''\
# a comment with = and [brackets]
title = "x"

[server]   # the nodes
nodes = [
  "a", # ]
  "b",
]
"quoted key" = """
[callback]
url = 1
"""
[groups]
sales = { contacts = ["x"], pick = "round-robin" }
[groups.support]
contacts = []

[[watch]]
end_user = "one"
[[watch]]
end_user = "two"
a.b = 1
'''


def test_each_key_has_the_line_in_which_it_begins() -> None:
    tomllib.loads(TEXT)
    assert lines_of(TEXT) == {
        ("title",): 2,
        ("server",): 4,
        ("server", "nodes"): 5,
        ("server", "quoted key"): 9,
        ("groups",): 13,
        ("groups", "sales"): 14,
        ("groups", "sales", "contacts"): 14,
        ("groups", "sales", "pick"): 14,
        ("groups", "support"): 15,
        ("groups", "support", "contacts"): 16,
        ("watch", 0): 18,
        ("watch", 0, "end_user"): 19,
        ("watch", 1): 20,
        ("watch", 1, "end_user"): 21,
        ("watch", 1, "a"): 22,
        ("watch", 1, "a", "b"): 22,
    }


def test_line_ends_of_windows_and_blocks_within_a_line() -> None:
    assert lines_of("\r\n[http]\r\nport = 1\r\n") == {("http",): 2, ("http", "port"): 3}
    found = lines_of('watch = [{end_user = "a"}, {end_user = "b"}]')
    assert found["watch", 1, "end_user"] == 1
    assert lines_of("[[watch]]\n[watch.more]\nx = 1")["watch", 0, "more", "x"] == 3


def test_a_list_of_thousands_takes_one_look_at_its_end() -> None:
    names = "".join(f'  "user{number}@example.com",\n' for number in range(20_000))
    assert lines_of(f"[a]\ncontacts = [\n{names}]\nlast = 1\n")["a", "last"] == 20_004


def test_every_setting_of_the_example_is_found() -> None:
    lines = example_toml().splitlines()
    for location, number in lines_of(example_toml()).items():
        assert str(location[-1] if isinstance(location[-1], str) else location[-2]) in lines[number - 1]


@given(st.lists(st.sampled_from(TEXT.splitlines()), max_size=12).map("\n".join))
def test_whatever_tomllib_reads_has_lines(text: str) -> None:
    """And only what begins there."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    count = len(text.split("\n"))
    assert all(1 <= number <= count for number in lines_of(text).values())
