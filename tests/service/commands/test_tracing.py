"""``sip-p2p trace``: messages in full, as lines, as a capture."""

from __future__ import annotations

import io
import os
from pathlib import Path

from twisted.python import usage

from sip_p2p.observe.trace import TraceEvent
from sip_p2p.service.cli import run
from sip_p2p.service.commands.tracing import TraceOptions
from sip_p2p.service.words import ExitCode
from tests.observe.test_pcapng import message, packets
from tests.support import SynchronousTestCase

EVENTS = (
    message(time="2026-01-01T00:00:00.000Z"),
    message(direction="in", head="SIP/2.0 200 OK\r\nSubject: \x1b[2J", body=None, clipped=True),
    TraceEvent("note", 1.0, time="then", note="refused"),
)


class TraceTests(SynchronousTestCase):
    """The command."""

    def traced(self, *arguments: str) -> tuple[ExitCode, str, str]:
        """What it does: exit code, standard output, standard error."""
        path = Path(self.mktemp())
        path.write_text("".join(f"{event.to_json()}\n" for event in EVENTS))
        out, err = io.StringIO(), io.StringIO()
        return run(["trace", str(path), *arguments], out, err), out.getvalue(), err.getvalue()

    def test_messages_in_full(self) -> None:
        """When, between whom, head and body; what is missing is named, and nothing drives the terminal (row:M11)."""
        code, out, err = self.traced()
        self.assertEqual((code, err), (ExitCode.OK, ""))
        self.assertEqual(
            out,
            """\
2026-01-01T00:00:00.000Z  192.0.2.1:5061 -> 192.0.2.2:40000  TLS (b.example), flow 7
MESSAGE sip:bob@b.example SIP/2.0
Call-ID: one
CSeq: 1 MESSAGE
Content-Length: 5

hello

  192.0.2.1:5061 <- 192.0.2.2:40000  TLS (b.example), flow 7
SIP/2.0 200 OK
Subject: \\x1b[2J
(5 octets of body withheld)
(cut: it is larger than what is kept)

then  * refused
""",
        )

    def test_a_file_that_somebody_has_made_up(self) -> None:
        """No field of an event drives the terminal, not even those that peers never write."""
        fields = dict.fromkeys(("time", "transport", "address", "remote", "peer"), "\x1b[2J")
        path = Path(self.mktemp())
        path.write_text(
            message(**fields).to_json() + "\n" + TraceEvent("note", 1.0, time="\x1b[2J", note="\x1b[2J").to_json()
        )
        out, err = io.StringIO(), io.StringIO()
        self.assertEqual(run(["trace", str(path)], out, err), ExitCode.OK)
        self.assertNotIn("\x1b", out.getvalue() + err.getvalue())
        self.assertEqual(out.getvalue().count("\\x1b[2J"), 7)

    def test_lines(self) -> None:
        """With --json they are what a trace holds."""
        _, out, _ = self.traced("--json", "--method", "MESSAGE")
        self.assertEqual(out, f"{EVENTS[0].to_json()}\n")

    def test_a_capture(self) -> None:
        """With --pcapng they are packets in a new file, which nobody else may read (row:M10)."""
        path = self.mktemp()
        code, out, err = self.traced("--pcapng", path)
        self.assertEqual((code, out, err), (ExitCode.OK, "", f"sip-p2p: 2 messages in {os.path.abspath(path)}\n"))
        self.assertEqual(len(packets(Path(path).read_bytes())), 2)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        code, _, err = self.traced("--pcapng", path)
        self.assertEqual(code, ExitCode.USAGE)
        self.assertIn("it is there already", err)

    def test_nothing(self) -> None:
        """It is said that nothing matches."""
        self.assertEqual(self.traced("--method", "BYE")[1:], ("", "sip-p2p: nothing in the trace matches\n"))

    def test_two_forms(self) -> None:
        """One of them at a time."""
        error = self.assertRaises(usage.UsageError, TraceOptions().parseOptions, ["a", "--json", "--pcapng", "b"])
        self.assertIn("which form is wanted?", str(error))
