"""Which node a user belongs on: health of nodes, redirects, and where to go when one fails.

A node has failed when several calls in a row found no answer over some time; one failure moves nobody. There is no
flapping back: a user stays on its new node until that one fails or the operator moves it. Redirect loops are told, and
tried again like any trouble of the server: they pass when its nodes agree again.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlsplit

from pws_soap.lifecycle.values import Failure, Node, Settings, State, Trouble, User

_NAME = re.compile(r"[A-Za-z0-9._\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


def reached(state: State, node: str) -> State:
    """A call to `node` was answered, if only with a fault."""
    old = state.nodes.get(node)
    if old is None or old == Node(backup=old.backup):
        return state
    return replace(state, nodes={**state.nodes, node: Node(backup=old.backup)})


def missed(state: State, node: str, text: str, now: float) -> State:
    """A call to `node` was not answered."""
    old = state.nodes.get(node, Node())
    since = now if old.failing_since is None else old.failing_since
    new = replace(old, failures=old.failures + 1, failing_since=since, error=text)
    return replace(state, nodes={**state.nodes, node: new})


def has_failed(node: Node, settings: Settings, now: float) -> bool:
    """Whether the policy gives the node up."""
    if node.failing_since is None:
        return False
    return node.failures >= settings.node_failures and now - node.failing_since >= settings.node_patience


def leave_failed(state: State, now: float) -> State:
    """Move every user from a failed node to the next one, where there is one."""
    nodes, users = dict(state.nodes), dict(state.users)
    for name, user in state.users.items():
        health = nodes.get(user.node, Node())
        if not has_failed(health, state.settings, now):
            continue
        nodes[user.node] = replace(health, down_until=now + state.settings.node_pause)
        target = _next(user, nodes, state.settings, now)
        if target is not None:
            users[name] = replace(user, node=target, path=(), backup=None)
            nodes[target] = _another_chance(nodes.get(target, Node()))
    if users == state.users and nodes == state.nodes:
        return state
    return replace(state, nodes=nodes, users=users)


def _next(user: User, nodes: dict[str, Node], settings: Settings, now: float) -> str | None:
    """The backup named at login, the one named by the redirect, then the configured nodes in their order."""
    named = [nodes[user.node].backup, user.backup]
    at = settings.nodes.index(user.node) + 1 if user.node in settings.nodes else 0
    ring = settings.nodes[at:] + settings.nodes[:at]
    for candidate in [*named, *ring]:
        if candidate and candidate != user.node and nodes.get(candidate, Node()).down_until <= now:
            return candidate
    return None


def resolve(name: str | None, near: str, settings: Settings) -> str | None:
    """The base URL of a node that the server named by host or host:port; None for what is no such name.

    A configured node of that host is meant where there is one; else the scheme and port are those of `near`, the node
    that named it.
    """
    if not name or not _NAME.fullmatch(name):
        return None
    parts = urlsplit(f"//{name}")
    base = urlsplit(near)
    for node in settings.nodes:
        known = urlsplit(node)
        if known.hostname == parts.hostname and parts.port in {None, known.port}:
            return node
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{base.scheme}://{host}:{parts.port or base.port}"


def redirected(
    state: State, name: str, primary: str | None, backup: str | None, now: float
) -> tuple[State, Failure | None]:
    """Follow a redirect of user `name`. The second value says why it was not followed, None when it was."""
    user = state.users[name]
    first, second = resolve(primary, user.node, state.settings), resolve(backup, user.node, state.settings)
    known = [node for node in (first, second if second != user.node else None) if node]
    usable = [node for node in known if state.nodes.get(node, Node()).down_until <= now]
    path = (*user.path, user.node)
    if not usable:
        names = ", ".join(node for node in (first, second) if node) or "no usable name"
        return state, Failure(Trouble.SERVER, f"redirected to a node that has failed or is not named ({names})")
    target = usable[0]
    if target in path:
        return _without_path(state, name), Failure(Trouble.SERVER, "redirect loop: " + " -> ".join((*path, target)))
    if len(path) >= state.settings.max_hops:
        tour = " -> ".join((*path, target))
        return _without_path(state, name), Failure(Trouble.SERVER, f"too many redirects: {tour}")
    moved = replace(user, node=target, path=path, backup=second if target == first else None)
    health = {**state.nodes, target: _another_chance(state.nodes.get(target, Node()))}
    return replace(state, users={**state.users, name: moved}, nodes=health), None


def _another_chance(node: Node) -> Node:
    """A node that is tried again after its pause: what it did before no longer counts."""
    return replace(node, failures=0, failing_since=None)


def _without_path(state: State, name: str) -> State:
    return replace(state, users={**state.users, name: replace(state.users[name], path=())})
