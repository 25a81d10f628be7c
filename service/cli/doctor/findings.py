"""What a check found out: a line for a person, a value for a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from pws_soap.errors import PwsError, TlsFailed
from service.cli.shared import hints


class Severity(StrEnum):
    """How good it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Blame(IntEnum):
    """Where a problem lies, as the exit code that it leads to."""

    SERVER = 1
    CONFIGURATION = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` is what was looked at, `what` is so, `fix` is to be done about it. Never a secret."""

    check: str
    level: Severity
    what: str
    fix: str = ""
    fault: Blame | None = None


Tell = Callable[[Finding], None]
"""Takes a finding as soon as it is there."""


class Notebook:
    """Takes down what one check finds."""

    def __init__(self, check: str, tell: Tell) -> None:
        self.check = check
        self._tell = tell

    def ok(self, what: str) -> None:
        """It is as it should be."""
        self._tell(Finding(self.check, Severity.OK, what))

    def warning(self, what: str, fix: str = "") -> None:
        """It works, and may not be meant so."""
        self._tell(Finding(self.check, Severity.WARNING, what, fix))

    def problem(self, what: str, fix: str = "", *, fault: Blame = Blame.SERVER) -> None:
        """It does not work."""
        self._tell(Finding(self.check, Severity.PROBLEM, what, fix, fault))

    def error(self, error: PwsError) -> None:
        """The same of an error of the library, whose advice is known."""
        if isinstance(error, TlsFailed) and error.cure:
            self.problem(error.reason, error.cure)
            return
        advice = hints.hint(error)
        what = hints.message(error).removesuffix(advice).rstrip("; ")
        self.problem(what, advice)
