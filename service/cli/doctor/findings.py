"""The results of checks: what each found, how bad it is, and what to fix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from pws_soap.errors import PwsError
from service.cli.shared import hints


class Severity(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Blame(IntEnum):
    """Where a problem lies; the value is the exit code that it leads to."""

    SERVER = 1
    CONFIGURATION = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: `check` names it, `what` was found, `fix` is what to do. Holds no secret."""

    check: str
    level: Severity
    what: str
    fix: str = ""
    fault: Blame | None = None


Tell = Callable[[Finding], None]
"""Called with each finding at once."""


class Notebook:
    """Reports the findings of one check."""

    def __init__(self, check: str, tell: Tell) -> None:
        self.check = check
        self._tell = tell

    def ok(self, what: str) -> None:
        """Report a success."""
        self._tell(Finding(self.check, Severity.OK, what))

    def warning(self, what: str, fix: str = "") -> None:
        """Report something that works, but may not be intended."""
        self._tell(Finding(self.check, Severity.WARNING, what, fix))

    def problem(self, what: str, fix: str = "", *, fault: Blame = Blame.SERVER) -> None:
        """Report something that does not work."""
        self._tell(Finding(self.check, Severity.PROBLEM, what, fix, fault))

    def error(self, error: PwsError) -> None:
        """Report an error of the library as a problem, with its hint as the fix."""
        advice = hints.hint(error)
        what = hints.message(error).removesuffix(advice).rstrip("; ")
        self.problem(what, advice)
