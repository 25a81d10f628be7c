"""How contacts are written by people, and what becomes of it: `user@domain`, each once (protocol section 2).

Bare names take the watch's domain, `sip:` goes, and a list may stand in a file of its own, as JSON or one per line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from pws_soap.contact import is_contact, same_contact, sent_contact, without_scheme
from service.config.errors import Problem, path_of, shown
from service.config.parsers import EnvText, path_of_file, split_list, takes, wrong
from service.config.raw import Draft

MAX_PROBLEMS: Final = 10
"""Mistakes reported of one list: a wrong file must not print itself."""


def completed(name: str, domain: str | None) -> str:
    """The contact as the server is sent it, with `domain` when it has none. Whether it is one is another question."""
    bare = without_scheme(name)
    return sent_contact(f"{bare}@{domain}" if domain and bare and "@" not in same_contact(bare) else name)


@takes("user@domain, or a bare name that the domain completes", {"type": "string", "minLength": 1})
def as_contact(value: object) -> str:
    """A contact that is complete already; anything else is a mistake."""
    contact = completed(value, None) if isinstance(value, str) else ""
    if not is_contact(contact):
        raise wrong("user@domain", shown(value))
    return contact


def merged(contacts: Iterable[str]) -> tuple[str, ...]:
    """Each contact once, however it is written; the first spelling stays."""
    found: dict[str, str] = {}
    for contact in contacts:
        found.setdefault(same_contact(contact), contact)
    return tuple(found.values())


def gather(draft: Draft) -> None:
    """Complete the contacts of all watches and groups in `draft`, and add those of their files."""
    watches = draft.tree.get("watch")
    domains: set[str | None] = set()
    for index, watch in enumerate(watches if isinstance(watches, list) else ()):
        if isinstance(watch, dict):
            domain = watch.get("domain")
            domain = str(domain).strip() if isinstance(domain, str) else None
            domains.add(domain)
            _gather_block(draft, ("watch", index), watch, domain)
    groups = draft.tree.get("groups")
    common = domains.pop() if len(domains) == 1 else None
    for name, group in groups.items() if isinstance(groups, dict) else ():
        if isinstance(group, dict):
            _gather_block(draft, ("groups", str(name)), group, common)


def _gather_block(draft: Draft, location: tuple[str | int, ...], block: dict[str, object], domain: str | None) -> None:
    good: list[str] = []
    inline = block.get("contacts", [])
    if isinstance(inline, EnvText):
        inline = split_list(inline)
    if isinstance(inline, list):
        at = (*location, "contacts")
        entries = ((path_of((*at, index)), item) for index, item in enumerate(inline))
        good += _checked(draft, entries, draft.where(at), domain, location)
    listing = block.get("contacts_file")
    if location[0] == "watch" and isinstance(listing, str):
        try:
            path = path_of_file(draft.base, listing)
        except ValueError:
            path = draft.base  # what is wrong with it, the model says; and so it does where it is missing
        if path.is_file():
            at = (*location, "contacts_file")
            draft.files[path_of(at)] = path
            try:
                items = list(_entries(path.read_text("utf-8-sig")))
            except (OSError, ValueError) as error:
                draft.add(at, "a JSON array of contacts, or one contact per line", f"{path}: {_reason(error)}")
            else:
                entries = ((f"{path_of(at)} {position}", item) for position, item in items)
                good += _checked(draft, entries, str(path), domain, location)
    if isinstance(inline, list):
        block["contacts"] = good


def _checked(
    draft: Draft, entries: Iterable[tuple[str, object]], where: str, domain: str | None, location: tuple[str | int, ...]
) -> list[str]:
    """The contacts that can be used. One that cannot is told and left out; where none can, that is a mistake."""
    good: list[str] = []
    bad = 0
    problems: list[Problem] = []
    for key, item in entries:
        contact = completed(item, domain) if isinstance(item, str) else ""
        if is_contact(contact):
            good.append(contact)
            continue
        bad += 1
        if bad <= MAX_PROBLEMS:
            bare = isinstance(item, str) and is_contact(f"{contact}@example.com")
            expected = "user@domain" if domain is None else "a user name or user@domain"
            problems.append(Problem(key, expected, shown(item), where, _hint(location) if bare else ""))
    if bad > MAX_PROBLEMS:
        at = (*location, "contacts")
        found = f"{bad - MAX_PROBLEMS} more that are none"
        problems.append(Problem(path_of(at), "contacts", found, draft.where(at)))
    if good:
        draft.warnings += [f"{problem}; it is left out" for problem in problems]
    else:
        draft.problems += problems
    return good


def _hint(location: tuple[str | int, ...]) -> str:
    key = path_of((*location, "domain")) if location[0] == "watch" else "domain in all [[watch]] blocks alike"
    return f"set {key} to complete bare names"


def _entries(text: str) -> Iterator[tuple[str, object]]:
    """Where each contact of a file stands, and what stands there. ValueError when it is broken JSON."""
    if text.lstrip().startswith("["):
        items: list[object] = json.loads(text)
        yield from ((f"entry {number}", item) for number, item in enumerate(items, 1))
        return
    for number, line in enumerate(text.splitlines(), 1):
        name = line.partition("#")[0].strip()
        if name:
            yield f"line {number}", name


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or "not readable"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"broken JSON ({error})"
