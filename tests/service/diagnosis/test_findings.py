"""Findings and what follows from them."""

from __future__ import annotations

from sip_p2p.service.diagnosis.findings import Finding, Report, Verdict, worst
from sip_p2p.service.words import ExitCode
from tests.support import SynchronousTestCase


class FindingTests(SynchronousTestCase):
    """One thing that was seen."""

    def test_for_programs_and_for_people(self) -> None:
        """row:M14: a finding is a line for a person and an object for a program, printable in both."""
        finding = Finding.wrong("tls", "name-mismatch", "It proves \x1b.", "Ask it.", ExitCode.TLS)
        self.assertEqual(str(finding), "WRONG tls: It proves \\x1b. Ask it.")
        self.assertEqual(
            finding.as_json(),
            {
                "step": "tls",
                "verdict": "wrong",
                "cause": "name-mismatch",
                "what": "It proves \\x1b.",
                "remedy": "Ask it.",
            },
        )
        self.assertEqual(str(Finding.ok("dns", "dns", "All is well.")), "ok    dns: All is well.")
        self.assertEqual(repr(Finding.note("dns", "dns", "x")), "<Finding dns note dns>")

    def test_the_code(self) -> None:
        """The first thing that is wrong decides; notes do not."""
        wrong = [Finding.wrong("a", "b", "c", "", code) for code in (ExitCode.TLS, ExitCode.USAGE)]
        self.assertEqual(worst([Finding.note("a", "b", "c"), *wrong]), ExitCode.TLS)
        self.assertEqual(worst([Finding.note("a", "b", "c")]), ExitCode.OK)


class ReportTests(SynchronousTestCase):
    """All of it."""

    def test_the_verdict(self) -> None:
        """row:M14: a report passes until something in it is wrong, and says so in its last line."""
        report = Report()
        report.ok("a", "all is well")
        report.note("b", "it may surprise", "Look.", "surprise")
        report.add(None)
        self.assertEqual(report.text, "ok    a: all is well\nnote  b: it may surprise. Look.\nIt would start.")
        self.assertTrue(report.passed)
        report.wrong("c", "it is wrong")
        self.assertFalse(report.passed)
        self.assertTrue(report.text.endswith("WRONG c: it is wrong\nIt would not work: see what is WRONG."))
        self.assertEqual([each.cause for each in report], ["a", "surprise", "c"])
        self.assertEqual(report.findings[2].verdict, Verdict.WRONG)
        self.assertEqual(worst(report), ExitCode.USAGE)
