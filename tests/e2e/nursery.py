"""A process that has imported `pws` and forks it on request. `warm_start` starts it, as a script of its own.

It reads requests from the socket whose number is its argument: JSON with `words`, `directory` and `environment`, and
with it two files, the program's output and a socket, to which it writes the program's process id and how it ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import time
from typing import Final

PACKAGES: Final = ("pws_soap", "service.config", "service.core", "service.sync", "service.api", "service.runtime")
MODULES: Final = (
    "service.cli.command_line",
    "service.cli.commands.serve",
    "service.cli.simulate.command",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.httptools_impl",
)
"""What `pws serve` and `pws simulate` import, or most of it: the rest they import themselves."""
ASKED_FOR: Final = {"service.runtime.otel", "service.runtime.webhooks"}
"""What is imported only where a configuration says so."""
NUMBER: Final = struct.Struct("=i")
LARGEST: Final = 1 << 20
"""Bytes of a request."""


def import_all() -> None:
    for package in PACKAGES:
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
            if found.name not in ASKED_FOR:
                importlib.import_module(found.name)
    for name in MODULES:
        importlib.import_module(name)


def wait_for(program: int, answers: socket.socket) -> None:
    """Tell the process id of a program, and how it ended. Nobody is left to hear it: kill the program."""
    ended = os.pidfd_open(program)
    with contextlib.suppress(OSError):
        answers.sendall(NUMBER.pack(program))
    if ended not in select.select([ended, answers.fileno()], [], [])[0]:
        os.kill(program, signal.SIGKILL)
    _, status = os.waitpid(program, 0)
    with contextlib.suppress(OSError):
        answers.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))


def become(request: bytes, output: int) -> list[str]:
    """Make this process the one that was asked for; its words."""
    asked = json.loads(request)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nothing, output, output)):
        os.dup2(file, number)
    os.close(nothing)
    os.close(output)
    os.chdir(asked["directory"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    words: list[str] = asked["words"]
    return words


def words_of_a_program(requests: socket.socket) -> list[str] | None:
    """Fork a program for each request. Returns its words in the program itself, None at the end of the requests."""
    while True:
        request, (output, back), _, _ = socket.recv_fds(requests, LARGEST, 2)
        if os.fork() == 0:
            requests.close()
            program = os.fork()
            answers = socket.socket(fileno=back)
            if program == 0:
                answers.close()
                return become(request, output)
            os.close(output)
            wait_for(program, answers)
            os._exit(0)
        os.close(output)
        os.close(back)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def main() -> None:
    del sys.path[0]  # this folder, which is not on the path of `pws`
    import_all()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        try:
            words = words_of_a_program(requests)
        except (ValueError, KeyboardInterrupt):  # a request without files is the end of all requests
            return
    if words is not None:
        from service.cli import main as pws

        sys.argv = words
        sys.exit(pws())  # type: ignore[func-returns-value]  # as the console script does


if __name__ == "__main__":
    main()
