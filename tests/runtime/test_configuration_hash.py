"""What replicas compare of their configurations: all that has to be the same, as it is in use after a reload."""

from __future__ import annotations

from pathlib import Path

from service.config import Config, load
from service.runtime.replicas import configuration_hash

BASE = """
[server]
nodes = ["imp1.example.com"]
[application]
username = "pws"
password = "secret"
[callback]
url = "http://10.0.0.1:8080"
[[watch]]
end_user = "dispatcher"
contacts = ["ann@example.com", "bob@example.com"]
[keys.wallboard]
hash = "{hash}"
[groups.support]
contacts = ["ann@example.com"]
"""
HASH = "sha256:" + "ab" * 32


def read(folder: Path, old: str = "", new: str = "") -> Config:
    (folder / "pws.toml").write_text(BASE.replace("{hash}", HASH).replace(old or "\0", new), "utf-8")
    return load(folder / "pws.toml", {})


def test_what_is_different_and_what_is_not(tmp_path: Path) -> None:
    """The order of the contacts in a file is nobody's business."""
    first = configuration_hash(read(tmp_path))
    same = '["bob@example.com", "ann@example.com"]'
    assert configuration_hash(read(tmp_path, '["ann@example.com", "bob@example.com"]', same)) == first
    for old, new in (("bob@", "rob@"), ("ab" * 32, "ac" * 32), ("wallboard", "wall"), ("support", "sales")):
        assert configuration_hash(read(tmp_path, old, new)) != first, new


def test_it_follows_a_reload(tmp_path: Path) -> None:
    """With contacts and keys, which alone are read again: with the same file they agree after a restart as well."""
    before, after = read(tmp_path), read(tmp_path, "bob@", "rob@")
    contacts = {each.end_user: each.contacts for each in after.watch}
    assert configuration_hash(before, contacts, after.keys) == configuration_hash(after)
    assert configuration_hash(before, contacts, {}) != configuration_hash(after)
