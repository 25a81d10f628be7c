"""Tells systemd how the service is doing: it is ready, it reloads, it stops, and its event loop still turns.

The protocol is sd_notify(3): a datagram of lines to the socket that NOTIFY_SOCKET names. Without that variable nothing
is ever sent. It is spoken here and not by a library: sdnotify has had no release since 2017, systemd-watchdog counts
with the wall clock and knows no reload, and both wait where the manager does not read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Self

from service.core.clock import Clock
from service.core.engine import Status

STATUS_INTERVAL: Final = 10.0
"""Seconds between two looks at what `systemctl status` shows; a watchdog may ask for shorter ones."""

log = logging.getLogger("pws.service")


def _kernel_microseconds() -> int:
    """The clock that sd_notify(3) asks for. Unlike the service's own it stands still while the machine is suspended."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def in_a_line(status: Status) -> str:
    """How the service is doing, without anybody's name: everybody on the machine may read what systemd is told."""
    count = len(status.problems)
    if not count:
        return str(status.state)
    return f"{status.state}; {count} problem{'' if count == 1 else 's'}, see /v1/status or pws doctor"


class ServiceManager:
    """The manager that started this process, or nobody.

    `address` is the path of its socket, or its abstract name behind an `@`; empty where there is no manager. `watchdog`
    is how many seconds it waits for a sign of life before it ends the process; 0: for ever.
    """

    def __init__(
        self, address: str, watchdog: float, clock: Clock, microseconds: Callable[[], int] = _kernel_microseconds
    ) -> None:
        self._address = address
        self._watchdog = watchdog
        self._clock = clock
        self._microseconds = microseconds
        self._is_ready = False
        self._is_failing = False
        self._status = ""

    @classmethod
    def of(cls, environment: Mapping[str, str], clock: Clock) -> Self:
        """The manager that the environment names. A watchdog that is meant for another process is not ours to feed."""
        address = environment.get("NOTIFY_SOCKET", "")
        if address and not address.startswith(("/", "@")):
            log.warning(
                "NOTIFY_SOCKET: expected a path or a name behind @, got %(address)r; systemd is told nothing",
                {"address": address},
                extra={"event": "systemd.address-wrong"},
            )
            address = ""
        for_us = environment.get("WATCHDOG_PID") in {None, "", str(os.getpid())}
        microseconds = environment.get("WATCHDOG_USEC", "")
        watchdog = int(microseconds) / 1e6 if for_us and microseconds.isascii() and microseconds.isdigit() else 0.0
        return cls(address, watchdog, clock)

    def __repr__(self) -> str:
        return f"<ServiceManager at {self._address or 'no socket'}, watchdog {self._watchdog:g} s>"

    def __bool__(self) -> bool:
        return bool(self._address)

    def ready(self) -> None:
        """The service listens."""
        self._is_ready = True
        self._send("READY=1", "STATUS=listening")

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """The configuration is being read again. Not told before the service is ready, nor while it stops."""
        told = self._is_ready
        if told:
            self._send("RELOADING=1", f"MONOTONIC_USEC={self._microseconds()}")
        try:
            yield
        finally:
            if told and self._is_ready:
                self._send("READY=1")

    def stopping(self) -> None:
        """The service ends from now on."""
        self._is_ready = False
        self._send("STOPPING=1", "STATUS=stopping")

    async def keep_informed(self, describe: Callable[[], str]) -> None:
        """Give signs of life, twice in the watchdog's time, and what `describe` says where that has changed.

        For a task of the event loop: one that is held up gives none, and the manager restarts the service.
        """
        if not self:
            return
        interval = min(STATUS_INTERVAL, self._watchdog / 2) if self._watchdog else STATUS_INTERVAL
        while True:
            if self._watchdog:
                self._send("WATCHDOG=1")
            if self._is_ready:
                self._show(describe)
            await self._clock.sleep(interval)

    def _show(self, describe: Callable[[], str]) -> None:
        """Tell how the service is doing, where that is news. A bug in it must not end the signs of life."""
        try:
            status = describe()
        except Exception:
            log.exception("unexpected error: systemctl status shows an old state", extra={"event": "internal.error"})
            return
        if status != self._status:
            self._status = status
            self._send(f"STATUS={status}")

    def _send(self, *lines: str) -> None:
        """One datagram. A manager that is gone or does not read holds up nobody; it is logged once."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
                sending.setblocking(False)
                sending.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            if not self._is_failing:
                log.warning(
                    "systemd cannot be told (NOTIFY_SOCKET %(address)s): %(error)s",
                    {"address": self._address, "error": error.strerror or error},
                    extra={"event": "systemd.unreachable"},
                )
            self._is_failing = True
        else:
            self._is_failing = False
