"""The list of the commands, and how the command line ends.

A command's module is imported when the command is called, so that `pws --help` and a mistyped name answer at once.

Exit codes: 0 done, 1 the server or the network said no, 2 the words or the configuration are wrong, 130 Ctrl-C.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

import click
from click.shell_completion import CompletionItem

from pws_soap.errors import NO_DESCRIPTORS_LEFT
from service import __version__
from service.cli.shared.garbage import collection_off
from service.cli.shared.harmless import printable
from service.cli.shared.plain_group import PlainGroup
from service.logs import configuration as logs

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("service.cli.demo.command", "Watch a simulated office, without a server."),
    "serve": ("service.cli.commands.serve", "Keep presence up to date, and answer who is free."),
    "simulate": ("service.cli.simulate.command", "Play a presence server, for developing without one."),
    "create": ("service.cli.commands.create", "Register the endpoint and subscribe to the contacts."),
    "delete": ("service.cli.commands.delete", "Remove what was made at the server, and log out."),
    "fetch": ("service.cli.commands.fetch", "Fetch what changed in a subscription."),
    "poll": ("service.cli.commands.poll", "Read the present state of contacts."),
    "set": ("service.cli.commands.set_presence", "Set the presence of an end user."),
    "watch": ("service.cli.watch.command", "Watch a running service's contacts, live."),
    "health": ("service.cli.commands.health", "Ask a running service whether it is ready."),
    "webhooks": ("service.cli.commands.webhooks", "Send a test message to a target of webhooks."),
    "doctor": ("service.cli.doctor.command", "Check everything, and say what to fix."),
    "config": ("service.cli.config.command", "Check, show, describe or begin the configuration."),
    "explain": ("service.cli.commands.explain", "Tell what rich presence documents say, and why."),
    "key": ("service.cli.commands.key", "Make a key for the HTTP API."),
    "migrate": ("service.cli.migrate.command", "Make a pws.toml from the sample scripts' files."),
    "completion": ("service.cli.commands.completion", "Print the script that completes pws in a shell."),
}
"""Name, module, and the line in the overview; the order is the overview's."""

INTERRUPTED: Final = 130
"""What a shell expects of a program that was ended by Ctrl-C: 128 + SIGINT."""


class LazyGroup(PlainGroup):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        with collection_off():
            command = importlib.import_module(COMMANDS[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name][0]}.command is not a command")
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name == "--config":
                ctx.fail("--config comes after the command, as in: pws serve --config FILE")
            raise

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names that begin so, without importing any command for its help."""
        names = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return [*names, *super(click.Group, self).shell_complete(ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="pws %(version)s")
def cli() -> None:
    """Presence from Cisco's IM and Presence server, by its Presence Web Service (PWS).

    New here? `pws demo` shows all of it in a minute: a simulated office, live. It needs no server and no
    configuration.

    \b
    A first round by hand:
      pws simulate        a presence server to play with, in a terminal of its own
      pws create          register the endpoint, subscribe; prints the ids
      pws fetch 1         what subscription 1 knows; later what has changed
      pws delete          leave a clean slate

    Every command but demo, simulate, explain, key, migrate and completion reads pws.toml in the current directory;
    --config after the command or PWS_CONFIG name another file, and each key can be set in the environment, as
    PWS_SERVER__NODES. `pws config init` writes one to start from. Results go to standard output, everything else to
    standard error.

    Tab completes commands, options and names: `pws completion --help` says how to turn that on in bash, zsh and fish.

    `pws COMMAND --help` explains a command. Exit codes: 0 done, 1 the server or the network said no, 2 the words or
    the configuration are wrong.
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code. Never shows a traceback, unless PWS_DEBUG is set."""
    logs.guard_what_nobody_configured()
    for stream in (sys.stdout, sys.stderr):
        _replace_what_cannot_be_encoded(stream)
    code = _run(arguments)
    lost = _flush(sys.stdout)
    if lost is not None and code == 0:
        code = 1
        if not isinstance(lost, BrokenPipeError):
            _say(_failed_io(lost))
    _flush(sys.stderr)
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        code = cli.main(args=list(arguments), prog_name="pws", standalone_mode=False)
    except click.ClickException as error:
        words = printable(error.format_message())  # it repeats what was typed
        error.format_message = lambda: words  # type: ignore[method-assign]  # show() has no other way in
        with contextlib.suppress(OSError):  # the exit code says it as well
            error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except SystemExit as error:  # a broken pipe
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:  # the last line of defence; its text may hold anything, so it is not shown
        if os.environ.get("PWS_DEBUG"):
            raise
        if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
            _say(f"Error: {NO_DESCRIPTORS_LEFT}")
        elif isinstance(error, OSError):
            _say(_failed_io(error))
        else:
            _say(f"Error: a bug in pws ({_place(error)}); PWS_DEBUG=1 shows all of it")
        return 1
    return code if isinstance(code, int) else 0


def _replace_what_cannot_be_encoded(stream: TextIO | None) -> None:
    """A name's letters are not in every encoding, and better replaced than not shown at all."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")


def _flush(stream: TextIO | None) -> OSError | None:
    """Write what is left; why that is not possible. Python would try again at its end, so that goes nowhere then."""
    if stream is None:
        return None
    try:
        stream.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        return error
    return None


def _failed_io(error: OSError) -> str:
    """An error of the system, which is none of ours: what went wrong, and where."""
    words = "no space left" if error.errno in {errno.ENOSPC, errno.EDQUOT} else error.strerror or type(error).__name__
    where = f": {error.filename}" if isinstance(error.filename, str | Path) else ""
    return f"Error: {words}{where}"


def _say(text: str) -> None:
    """Tell the person, where that is possible."""
    with contextlib.suppress(OSError):
        click.echo("".join(char if char.isprintable() else "?" for char in text), err=True)


def _place(error: Exception) -> str:
    """The kind of error, and the line of code that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"
