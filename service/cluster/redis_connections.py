"""The connections to Redis or Valkey, and the only module that knows the package `redis` (the extra `redis`).

What could hurt, and where it is kept from it:

- The package repeats what got no answer, up to ten times. Here nothing is repeated (`_NO_RETRY`): the caller decides.
- A blocking read that is longer than the socket's time-out always fails: `BLOCK` is half of it at most (`block`).
- A primary that became a copy goes on answering reads. The first write that it refuses drops all connections, so that
  the next one asks anew where the primary is (`_translated`).
- `WAIT` counts for the connection that wrote: both go out together (`run`).
- The package makes other values of replies in each of its versions: they are taken as they come (`_client`).
- It sends within `asyncio.wait_for`, which up to Python 3.11 loses a cancellation that comes as the sending ends
  (`_translated`).
- It closes the connections of a pool without asking who uses them, and one that breaks off as it is used comes out as
  any error of Python's: whatever it raises becomes ours (`_translated`).

Passwords are read from their file for each new connection, so that they can be replaced while running.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import redis.exceptions as failures
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

from service.cluster.engine import (
    ClusterEngineError,
    EngineDamaged,
    EngineFull,
    EngineReadOnly,
    EngineRefused,
    EngineUnreachable,
)
from service.cluster.redis_replies import Reply
from service.core.engine_address import EngineAddress

TIMEOUT: Final = 1.0
"""Seconds for a command: of a lease of three, so that one that hangs costs one renewal."""
_READING: Final = 4.0
"""Seconds for a read that waits, of which it waits for half at most."""
_LOADING: Final = 15.0
"""Seconds for a snapshot of a hundred thousand contacts."""
WAIT_MS: Final = 500
"""Milliseconds that a copy has to say that it has a claim."""
_CLOSED: Final = ("handler is closed", "'NoneType' object has no attribute")
"""What uvloop says, in a RuntimeError, and the package, in an AttributeError, of a connection that was closed a moment
ago."""
_NO_RETRY: Final = Retry(NoBackoff(), 0)
_FULL: Final = ("OOM", "MISCONF")
_BUSY: Final = ("LOADING", "BUSY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN")
_REFUSED: Final = ("NOAUTH", "WRONGPASS", "NOPERM", "DENIED")


class _PasswordFile(CredentialProvider):
    """The user's name, and the password from its file as it is now."""

    def __init__(self, username: str | None, path: Path) -> None:
        self._username = username
        self._path = path

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        try:
            password = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text"
            raise failures.AuthenticationError(f"the password file {self._path} cannot be read: {reason}") from None
        return (password,) if self._username is None else (self._username, password)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()  # the package's own does the same, and logs that it does


class RedisConnections:
    """Connections to the engine at `address`: for commands, for reads that wait, and for snapshots. None is opened
    before the first command. What goes wrong is raised as a ClusterEngineError.

    `block`: seconds that a read may wait at most.
    """

    def __init__(
        self, address: EngineAddress, timeout: float, password_file: Path | None = None, ca_file: Path | None = None
    ) -> None:
        self._address = address
        self._password_file = password_file
        self._ca_file = ca_file
        self._sentinels: list[Redis] = []
        self._commands = self._client(timeout)
        self._readers = self._client(max(_READING, timeout))
        self._loader = self._client(max(_LOADING, timeout))
        self._hashes: dict[str, str] = {}
        self.block: Final = max(_READING, timeout) / 2

    async def do(self, *command: Any) -> Reply:
        """Carry a command out."""
        async with self._translated():
            return await self._commands.execute_command(*command)  # type: ignore[no-untyped-call]

    async def read(self, *command: Any) -> Reply:
        """Carry out a command that waits for something new, for `block` seconds at most."""
        async with self._translated():
            return await self._readers.execute_command(*command)  # type: ignore[no-untyped-call]

    async def read_together(self, commands: Iterable[Sequence[Any]], script: str, keys: Sequence[str]) -> Reply:
        """The answers to commands that only read, all of one moment. `script` says the same of `keys`."""
        async with self._translated():
            pipeline = self._loader.pipeline(transaction=True)
            for command in commands:
                pipeline.execute_command(*command)
            try:
                return await pipeline.execute()
            except failures.OutOfMemoryError:  # Redis 7.0 begins no transaction then, not even one that only reads
                return await self._loader.execute_command("EVAL", script, len(keys), *keys)  # type: ignore[no-untyped-call]

    async def run(
        self, script: str, keys: Sequence[str], arguments: Iterable[str | bytes], *, replicated: bool = False
    ) -> tuple[Reply, int]:
        """Run a script, which the engine knows by its hash or is sent. With `replicated` also how many copies have
        confirmed it; else 0."""
        rest = (len(keys), *keys, *arguments)
        async with self._translated():
            answer, copies = await self._both(("EVALSHA", self._hash(script), *rest), replicated=replicated)
            if isinstance(answer, failures.NoScriptError):  # it was not run: this is the first time
                answer, copies = await self._both(("EVAL", script, *rest), replicated=replicated)
            if isinstance(answer, Exception):
                raise answer
        return answer, copies if isinstance(copies, int) else 0

    @contextlib.asynccontextmanager
    async def understanding(self) -> AsyncIterator[None]:
        """Read an answer. One of another form is not the answer to what was asked, and the next ones may not be either:
        all connections are made anew, and the caller does not know what was done."""
        try:
            yield
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            await self._drop_connections()
            problem = "it answered something else than was asked for"
            raise EngineUnreachable(f"the engine at {self._address}: {problem}", may_have_acted=True) from error

    async def close(self) -> None:
        """Let all connections go."""
        for client in (self._commands, self._readers, self._loader, *self._sentinels):
            with contextlib.suppress(Exception):
                await client.aclose()

    async def _both(self, command: Sequence[Any], *, replicated: bool) -> tuple[Reply, Reply]:
        """A command, and over the same connection whether a copy has it."""
        pipeline = self._commands.pipeline(transaction=False)
        pipeline.execute_command(*command)
        if replicated:
            pipeline.execute_command("WAIT", 1, WAIT_MS)
        answer, *copies = await pipeline.execute(raise_on_error=False)
        return answer, copies[0] if copies else None

    def _hash(self, script: str) -> str:
        found = self._hashes.get(script)
        if found is None:
            registered = self._commands.register_script(script)
            found = self._hashes[script] = registered.sha
        return found

    def _client(self, timeout: float) -> Redis:
        address = self._address
        options: dict[str, Any] = {  # Any: they are the package's own
            "db": address.database,
            "username": address.username if self._password_file is None else None,
            "socket_timeout": timeout,
            "socket_connect_timeout": min(timeout, TIMEOUT),
            "protocol": 2,
            "retry": _NO_RETRY,
        }
        if self._password_file is not None:
            options["credential_provider"] = _PasswordFile(address.username, self._password_file)
        secure: dict[str, Any] = {}
        if address.tls:
            secure = {"ssl": True, "ssl_check_hostname": True, "ssl_cert_reqs": "required"}
            if self._ca_file is not None:
                secure["ssl_ca_certs"] = str(self._ca_file)
        if address.service is None:
            host, port = address.hosts[0]
            client = Redis(host=host, port=port, **options, **secure)
        else:
            asked = {"socket_timeout": timeout, "socket_connect_timeout": min(timeout, TIMEOUT), "retry": _NO_RETRY}
            sentinels = Sentinel(list(address.hosts), sentinel_kwargs=asked | secure)  # type: ignore[no-untyped-call]
            self._sentinels += sentinels.sentinels
            client = sentinels.master_for(address.service, **options, **secure)
        client.response_callbacks.clear()
        return client

    @contextlib.asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """The one boundary: what the package raises becomes ours, and names the engine and the fix.

        Where the task was cancelled meanwhile, it is told so, whatever became of the command.
        """
        task = asyncio.current_task()
        before = 0 if task is None else task.cancelling()
        try:
            yield
        except failures.RedisError as error:
            mine = _failure(error, str(self._address))
            if isinstance(mine, EngineReadOnly):
                await self._drop_connections()
            raise mine from None
        except Exception as error:  # the package has closed the connection then
            raise EngineUnreachable(f"the engine at {self._address}: {_words(error)}", may_have_acted=True) from error
        finally:
            if task is not None and task.cancelling() > before:
                raise asyncio.CancelledError

    async def _drop_connections(self) -> None:
        """Close all, those that are in use as well. One that cannot be closed in time is left to itself."""
        for client in (self._commands, self._readers, self._loader):
            with contextlib.suppress(Exception):
                await client.connection_pool.disconnect()


def _words(error: Exception) -> str:
    """What has happened where it is no error of the package's own."""
    text = str(error)
    if any(closed in text for closed in _CLOSED):
        return "the connection was closed while it was used"
    return text if text and isinstance(error, OSError | EOFError) else f"{type(error).__name__}: {text}".rstrip(": ")


def _failure(error: Exception, where: str) -> ClusterEngineError:
    text = str(error).rstrip(".")
    word = text.partition(" ")[0]
    cause: BaseException | None = error
    while cause is not None:  # the package wraps what the system says
        if isinstance(cause, ssl.SSLCertVerificationError):
            problem = f"its certificate is not trusted ({cause.verify_message}): set ca_file to its authority"
            return EngineRefused(f"the engine at {where}: {problem}")
        cause = cause.__cause__ or cause.__context__
    match error:
        case failures.AuthenticationError() | failures.AuthorizationError() | failures.NoPermissionError():
            return EngineRefused(f"the engine at {where} refuses us: {text}; check password_file and the user's rights")
        case failures.OutOfMemoryError():
            return EngineFull(f"the engine at {where} has no memory left; nothing was written")
        case failures.ReadOnlyError():
            return EngineReadOnly(f"the engine at {where} is a copy and takes no writes")
        case failures.BusyLoadingError():
            return EngineUnreachable(f"the engine at {where} is loading its data", may_have_acted=False)
        case failures.TimeoutError():
            return EngineUnreachable(f"the engine at {where} did not answer in time", may_have_acted=True)
        case failures.ConnectionError():
            is_refused = "connecting to" in text or isinstance(error.__context__, ConnectionRefusedError)
            _, _, reason = text.partition(f" connecting to {where}. ")  # the address stands before it anyway
            return EngineUnreachable(f"the engine at {where}: {reason or text}", may_have_acted=not is_refused)
        case _ if word in _REFUSED:
            return EngineRefused(f"the engine at {where} refuses us: {text}; check password_file and the user's rights")
        case _ if word in _FULL:
            return EngineFull(f"the engine at {where} cannot keep more: {text}")
        case _ if word == "NOREPLICAS":
            return EngineReadOnly(f"the engine at {where} takes no writes: {text}")
        case _ if word in _BUSY:
            return EngineUnreachable(f"the engine at {where}: {text}", may_have_acted=False)
    return EngineDamaged(f"the engine at {where} answered: {text}")
