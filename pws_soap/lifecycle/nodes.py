"""Which node a user belongs on: health of nodes, redirects, and where to go when one fails.

A node has failed when several calls in a row found no answer over some time; one failure moves nobody. There is no
flapping back: a user stays on its new node until that one fails or the operator moves it. A node that a user
comes to starts afresh: what was counted before says nothing about now. A redirect loop is an error like any other of
the server: the login is tried again, and the loop ends when its nodes agree again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from pws_soap import hosts
from pws_soap.lifecycle.values import EndUser, Failure, FailureKind, NodeHealth, Settings, State

_NAME = re.compile(r"[A-Za-z0-9._\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


def reached(state: State, node: str) -> State:
    """A call to `node` was answered, if only with a fault."""
    old = state.nodes.get(node)
    if old is None or old == _fresh(old):
        return state
    return replace(state, nodes={**state.nodes, node: _fresh(old)})


def missed(state: State, node: str, failure: Failure, now: float) -> State:
    """A call to `node` was not answered, or with nothing that can be used."""
    old = state.nodes.get(node, NodeHealth())
    since = now if old.failing_since is None else old.failing_since
    new = replace(old, failures=old.failures + 1, failing_since=since, error=failure.text, answered=failure.answered)
    if has_failed(new, state.settings, now):
        new = replace(new, down_until=now + state.settings.node_pause)
    return replace(state, nodes={**state.nodes, node: new})


def _fresh(node: NodeHealth | None) -> NodeHealth:
    return NodeHealth(backup=node.backup) if node else NodeHealth()


def _gives_up_at(node: NodeHealth | None, settings: Settings) -> float | None:
    """When the policy gives the node up, if nothing is heard from it: None where it has not failed often enough."""
    if node is None or node.failing_since is None or node.failures < settings.node_failures:
        return None
    return node.failing_since + settings.node_patience


def has_failed(node: NodeHealth | None, settings: Settings, now: float) -> bool:
    """Whether the policy gives the node up."""
    at = _gives_up_at(node, settings)
    return at is not None and now >= at


def leave_failed(state: State, now: float) -> State:
    """Move every user from a failed node to the next one, where there is one."""
    nodes, users = dict(state.nodes), dict(state.users)
    for name, user in state.users.items():
        health = nodes.get(user.node)
        if health is None or not has_failed(health, state.settings, now):
            continue
        target = next((node for node in _others(user, nodes, state.settings) if _may_try(nodes, node, now)), None)
        if target is not None:
            nodes[user.node] = replace(health, down_until=now + state.settings.node_pause)
            nodes[target] = _fresh(nodes.get(target))
            users[name] = replace(user, node=target, path=(), backup=None)
    return state if users == state.users else replace(state, nodes=nodes, users=users)


def moves(state: State) -> Iterator[float]:
    """When `leave_failed` will move a user, as far as time alone decides it."""
    for user in () if state.stopping else state.users.values():
        at = _gives_up_at(state.nodes.get(user.node), state.settings)
        others = [state.nodes.get(node, NodeHealth()).down_until for node in _others(user, state.nodes, state.settings)]
        if at is not None and others:
            yield max(at, min(others))


def _others(user: EndUser, nodes: Mapping[str, NodeHealth], settings: Settings) -> list[str]:
    """The backup named at login, the one named by the redirect, then the configured nodes in their order."""
    here = nodes.get(user.node)
    at = settings.nodes.index(user.node) + 1 if user.node in settings.nodes else 0
    ring = settings.nodes[at:] + settings.nodes[:at]
    told = [here.backup if here else None, user.backup]
    return [node for node in dict.fromkeys([*told, *ring]) if node and node != user.node]


def _may_try(nodes: Mapping[str, NodeHealth], node: str, now: float) -> bool:
    return nodes.get(node, NodeHealth()).down_until <= now


def resolve(name: str | None, near: str, settings: Settings) -> str | None:
    """The base URL of a node that the server named by host or host:port; None for what is no such name.

    A configured node of that host is meant where there is one; else the scheme and port are those of `near`, the node
    that named it.
    """
    if not name or not _NAME.fullmatch(name):
        return None
    try:
        parts = urlsplit(f"//{name}")
        hostname, port = hosts.bare(parts.hostname or ""), parts.port
    except ValueError:  # a port beyond 65535, brackets around no address
        return None
    if not hostname or port == 0:
        return None
    base = urlsplit(near)
    for node in settings.nodes:
        known = urlsplit(node)
        if hosts.host_of(node) == hostname and port in {None, known.port}:
            return node
    host = f"[{hostname}]" if ":" in hostname else hostname
    port = port or base.port
    return f"{base.scheme}://{host}:{port}" if port else f"{base.scheme}://{host}"


def may_go_to(node: str, settings: Settings) -> bool:
    """Whether the server may send us to a node: its host is one of ours, or one that the settings name."""
    return hosts.may_go_to(node, settings.nodes, settings.redirect_to)


def named(name: str | None, near: str, settings: Settings) -> str | None:
    """As `resolve`, of a node that the server may send us to; None for any other."""
    node = resolve(name, near, settings)
    return node if node is not None and may_go_to(node, settings) else None


def redirected(
    state: State, name: str, primary: str | None, backup: str | None, now: float
) -> tuple[State, Failure | None]:
    """Follow a redirect of user `name`. The second value says why it was not followed, None when it was."""
    user = state.users[name]
    first, second = resolve(primary, user.node, state.settings), resolve(backup, user.node, state.settings)
    told = [node for node in (first, second if second != user.node else None) if node]
    allowed = [node for node in told if may_go_to(node, state.settings)]
    if told and not allowed:
        names = " and ".join(str(hosts.host_of(node)) for node in told)
        text = (
            f"end user {name} is homed on {names}, which server.nodes and server.redirect_to do not name; nothing was "
            "sent there: add it to one of them if it is a node of yours"
        )
        return state, Failure(FailureKind.REFUSED, text)
    usable = [node for node in allowed if _may_try(state.nodes, node, now)]
    path = (*user.path, user.node)
    if not usable:
        names = ", ".join(allowed) or "no usable name"
        return state, Failure(FailureKind.SERVER, f"redirected to a node that has failed or is not named ({names})")
    target = usable[0]
    if target in path:
        return _gave_up(state, name), Failure(FailureKind.SERVER, "redirect loop: " + " -> ".join((*path, target)))
    if len(path) >= state.settings.max_hops:
        tour = " -> ".join((*path, target))
        return _gave_up(state, name), Failure(FailureKind.SERVER, f"too many redirects: {tour}")
    moved = replace(user, node=target, path=path, backup=second if target == first and second in allowed else None)
    health = {**state.nodes, target: _fresh(state.nodes.get(target))}
    return replace(state, users={**state.users, name: moved}, nodes=health), None


def _gave_up(state: State, name: str) -> State:
    user = state.users[name]
    return replace(state, users={**state.users, name: replace(user, path=(), tours=user.tours + 1)})
