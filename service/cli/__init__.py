"""The console script `pws`. `command_line` is the list of its commands, and how it ends.

A new command is a module in `commands` with a click command named `command`, and a line in `command_line.COMMANDS`; one
that takes several modules gets a folder of its own, such as `doctor`, `watch` or `demo`. `terminal` is the view of a
service that `watch` and `demo` share (columns, bars, keys, lines); `shared` is what any command may use. May import
every room; no room imports it.
"""

from __future__ import annotations

import os
import sys

from service import __version__


def main() -> None:
    """The console script. What only asks for the version, as installers and monitors do, loads nothing else."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before we began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  until the process ends
    if sys.argv[1:2] == ["serve"]:  # loading the rest takes a moment, in which a reload may be asked for
        from service.cli.shared import hangup

        hangup.remember()
    if sys.argv[1:] == ["--version"] and _has_written_version():
        sys.exit(0)
    try:
        from service.cli.command_line import run
    except KeyboardInterrupt:  # later ones are the commands' own
        sys.exit(130)
    sys.exit(run(sys.argv[1:]))


def _has_written_version() -> bool:
    """Whether it was written in one piece; where not, the command line does it, and says why it cannot."""
    line = f"pws {__version__}\n".encode("ascii")
    try:
        return os.write(sys.stdout.fileno(), line) == len(line)
    except (OSError, ValueError):  # it is no file, or closed
        return False
