"""What was looked at and what is so: the findings of ``--check`` and of ``sip-p2p doctor``, as values.

Whoever looks puts a :class:`Finding` for each thing into a list or a :class:`Report`; whether all is well follows from
them, and so do the lines for a person and the JSON for a program. How a thing is judged stands elsewhere, in
:mod:`.diagnosis` and :mod:`.check`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from sip_p2p.observe.text import printable
from sip_p2p.service.words import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Finding", "Report", "Verdict", "worst"]

_LONGEST = 600


class Verdict(enum.Enum):
    """How a finding is to be taken."""

    OK = "ok"
    NOTE = "note"
    WRONG = "WRONG"


@final
class Finding:
    """One thing that was seen.

    :ivar step: what was looked at: ``own``, ``dns``, ``connect``, ``tls``, ``sip``, ``clock``, ``contact``, ``listen``,
        or the option that it is about.
    :ivar verdict: whether it is as it should be.
    :ivar cause: a word for programs, such as ``name-mismatch``.
    :ivar what: what is so, a sentence.
    :ivar remedy: what to do about it; empty where nothing is to be done, or where it is said already.
    :ivar code: with what the command leaves if this is the first thing that is wrong.
    """

    __slots__ = ("cause", "code", "remedy", "step", "verdict", "what")

    def __init__(
        self,
        step: str,
        verdict: Verdict,
        cause: str,
        what: str,
        remedy: str = "",
        code: ExitCode = ExitCode.OK,
    ) -> None:
        self.step = step
        self.verdict = verdict
        self.cause = cause
        self.what = printable(what, _LONGEST)
        self.remedy = printable(remedy, _LONGEST)
        self.code = code

    @classmethod
    def ok(cls, step: str, cause: str, what: str) -> Finding:
        """Something is as it should be."""
        return cls(step, Verdict.OK, cause, what)

    @classmethod
    def note(cls, step: str, cause: str, what: str, remedy: str = "") -> Finding:
        """Something works and may surprise."""
        return cls(step, Verdict.NOTE, cause, what, remedy)

    @classmethod
    def wrong(cls, step: str, cause: str, what: str, remedy: str, code: ExitCode) -> Finding:
        """Something has to be changed."""
        return cls(step, Verdict.WRONG, cause, what, remedy, code)

    def as_json(self) -> dict[str, str]:
        """The finding for programs."""
        return {
            "step": self.step,
            "verdict": self.verdict.value.lower(),
            "cause": self.cause,
            "what": self.what,
            "remedy": self.remedy,
        }

    def __str__(self) -> str:
        end = "" if self.what.endswith((".", "!", "?", ":")) or self.remedy[:1].islower() else "."
        remedy = f"{end} {self.remedy}" if self.remedy else ""
        return f"{self.verdict.value:<6}{self.step}: {self.what}{remedy}"

    def __repr__(self) -> str:
        return f"<Finding {self.step} {self.verdict.value} {self.cause}>"


@final
class Report:
    """What was found, in the order in which it was looked at.

    :ivar findings: each of them.
    """

    __slots__ = ("findings",)

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def add(self, finding: Finding | None) -> None:
        """Take *finding*; None is nothing."""
        if finding is not None:
            self.findings.append(finding)

    def ok(self, step: str, what: str, cause: str = "") -> None:
        """Something is as it should be; without a *cause* it is the step."""
        self.add(Finding.ok(step, cause or step, what))

    def note(self, step: str, what: str, remedy: str = "", cause: str = "") -> None:
        """Something works and may surprise."""
        self.add(Finding.note(step, cause or step, what, remedy))

    def wrong(self, step: str, what: str, remedy: str = "", cause: str = "") -> None:
        """Something has to be changed."""
        self.add(Finding.wrong(step, cause or step, what, remedy, ExitCode.USAGE))

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return all(each.verdict is not Verdict.WRONG for each in self.findings)

    @property
    def text(self) -> str:
        """Every finding, a line each, and the verdict."""
        verdict = "It would start." if self.passed else "It would not work: see what is WRONG."
        return "\n".join((*map(str, self.findings), verdict))

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)


def worst(findings: Iterable[Finding]) -> ExitCode:
    """With what the command leaves: the code of the first thing that is wrong, as the others mostly follow from it."""
    return next((each.code for each in findings if each.verdict is Verdict.WRONG), ExitCode.OK)
