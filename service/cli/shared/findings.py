"""The results of checks: what each found, how bad it is, and what to fix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import Final

import click

from pws_soap.errors import PwsError, TlsFailed
from service.cli.shared import hints
from service.cli.shared.harmless import printable


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


_COLOURS: Final = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.PROBLEM: "red"}


def show(finding: Finding) -> None:
    """One line."""
    click.secho(
        f"{finding.level.value:<8}", fg=_COLOURS[finding.level], bold=finding.level is not Severity.OK, nl=False
    )
    fix = f"; {finding.fix}" if finding.fix else ""
    text = f"{finding.check}: {finding.what}{fix}"
    click.echo(" " + printable(text).replace("\n", " "))


def _counts(findings: Sequence[Finding]) -> tuple[int, int]:
    """The numbers of problems and of warnings."""
    problems, warnings = (
        sum(finding.level is level for finding in findings) for level in (Severity.PROBLEM, Severity.WARNING)
    )
    return problems, warnings


def summary(findings: Sequence[Finding]) -> str:
    """How many problems and warnings there are: `1 problem, 2 warnings`; empty for none."""
    counted = zip(_counts(findings), ("problem", "warning"), strict=True)
    return ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in counted if number)


def as_document(findings: Sequence[Finding], *, complete: bool = True) -> dict[str, object]:
    """All findings as JSON has them."""
    checks = [{key: value for key, value in asdict(finding).items() if key != "fault"} for finding in findings]
    problems, warnings = _counts(findings)
    return {"checks": checks, "problems": problems, "warnings": warnings, "complete": complete}


Tell = Callable[[Finding], None]
"""Called with each finding at once."""


class Notebook:
    """Reports the findings of one check."""

    def __init__(self, check: str, tell: Tell) -> None:
        self.check = check
        self.tell = tell

    def ok(self, what: str) -> None:
        """Report a success."""
        self.tell(Finding(self.check, Severity.OK, what))

    def warning(self, what: str, fix: str = "") -> None:
        """Report something that works, but may not be intended."""
        self.tell(Finding(self.check, Severity.WARNING, what, fix))

    def problem(self, what: str, fix: str = "", *, fault: Blame = Blame.SERVER) -> None:
        """Report something that does not work."""
        self.tell(Finding(self.check, Severity.PROBLEM, what, fix, fault))

    def error(self, error: PwsError) -> None:
        """The same of an error of the library, whose advice is known."""
        if isinstance(error, TlsFailed) and error.cure:
            self.problem(error.reason, error.cure)
            return
        advice = hints.hint(error)
        what = hints.message(error).removesuffix(advice).rstrip("; ")
        self.problem(what, advice)
