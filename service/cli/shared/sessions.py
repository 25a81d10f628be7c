"""Logs in for a command: chooses the node, logs the users in, and follows a redirect to an end user's home node.

Sessions are per user and node (protocol section 2). A login with `force=false` returns the session that exists, so a
command finds the session of the command before, and nothing is kept in between. Only `pws delete` logs out: the
session may be shared with a running service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pws_soap.errors import AlreadyLoggedIn, PwsError, Redirected, Unreachable, UntrustedServer
from pws_soap.models import Session
from pws_soap.trust import Trust
from service.cli.shared.output import CommandFailed, note, waiting
from service.config import Config
from service.core.clock import SystemClock
from service.sync.budget import BudgetedTransport, RequestBudget

if TYPE_CHECKING:
    from pws_soap.client import PwsClient
    from pws_soap.transport import Transport


def foreign_home(user: str, name: str) -> str:
    """What is said of a redirect to a host that nobody has named, and what to do about it."""
    return (
        f"{user} is homed on {name}, which server.nodes and server.redirect_to do not name; nothing was sent there: "
        "add it to one of them if it is a node of yours"
    )


def client_of(config: Config, url: str, *, within_budget: bool = False) -> PwsClient:
    """A client of one node, as the configuration wants it. `within_budget`: no faster than the service."""
    from pws_soap.client import PwsClient  # here, since zeep takes a while to import
    from pws_soap.transport import HttpTransport

    server = config.server
    transport: Transport = HttpTransport(
        Trust(server.ca_file, server.fingerprint, "server."),
        connect_timeout=server.connect_timeout,
        read_timeout=server.read_timeout,
        max_reply_bytes=server.max_reply_bytes,
    )
    if within_budget:
        transport = BudgetedTransport(transport, RequestBudget(config.lifecycle.requests_per_second, SystemClock()))
    return PwsClient(url, wsdl=server.wsdl, soap=server.soap, transport=transport)


@dataclass(frozen=True, slots=True)
class NodeSession:
    """A node where the application user is logged in."""

    url: str
    client: PwsClient = field(repr=False)
    application: Session


@dataclass(frozen=True, slots=True)
class EndUserSession:
    """An end user who is logged in on a node."""

    node: NodeSession
    session: Session


class NodeSessions:
    """The nodes that a command uses, each logged in once. An asynchronous context manager."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._open: dict[str, NodeSession] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def at(self, url: str) -> NodeSession:
        """The node at `url`, with the application user logged in."""
        if url not in self._open:
            application = self._config.application
            with waiting(f"Logging in {application.username} at {url}"):
                client = await self._stack.enter_async_context(client_of(self._config, url))
                session = await self._login(
                    lambda force: client.login(application.username, application.password, force=force)
                )
            self._open[url] = NodeSession(url, client, session)
        return self._open[url]

    async def preferred(self) -> NodeSession:
        """The first of the configured nodes that can be reached."""
        failure: PwsError | None = None
        for url in self._config.server.urls():
            try:
                return await self.at(url)
            except UntrustedServer:
                raise
            except Unreachable as error:
                failure = failure or error
                note(f"Note: {url} cannot be reached.")
        raise failure or CommandFailed("no node is configured: set server.nodes")

    async def seat(self, end_user: str) -> EndUserSession:
        """An end user, logged in at the preferred node, or at the node that it redirects to."""
        node = await self.preferred()
        try:
            return await self.seat_at(node, end_user)
        except Redirected as redirect:
            home = await self.home(redirect)
            return await self.seat_at(home, end_user)

    async def seat_at(self, node: NodeSession, end_user: str) -> EndUserSession:
        """An end user, logged in at this node. Raises Redirected when the end user is homed on another one."""
        with waiting(f"Logging in {end_user} at {node.url}"):
            session = await self._login(
                lambda force: node.client.login_end_user(node.application, end_user, force=force)
            )
        return EndUserSession(node, session)

    async def home(self, redirect: Redirected) -> NodeSession:
        """The node that a redirect names, or its backup."""
        failure: PwsError | CommandFailed = redirect
        for name in (redirect.primary, redirect.backup):
            if name:
                try:
                    url = self._config.server.url_of(name)
                except ValueError:
                    raise CommandFailed(f"{redirect.user} is homed on {name!r}, which is not a host") from None
                if not self._config.server.may_go_to(url):
                    failure = CommandFailed(foreign_home(redirect.user, name))
                    continue
                note(f"Note: {redirect.user} is homed on {name}; going there.")
                try:
                    return await self.at(url)
                except UntrustedServer:
                    raise
                except Unreachable as error:
                    failure = error
        raise failure

    async def _login(self, login: Callable[[bool], Awaitable[Session]]) -> Session:
        try:
            return await login(False)  # the argument is force
        except AlreadyLoggedIn:
            if not self._config.application.take_over:
                raise
            note("Note: another application holds the user; taking over (application.take_over).")
            return await login(True)
