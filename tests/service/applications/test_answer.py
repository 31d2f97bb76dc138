"""``answer``: what the command line says, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sip_p2p.errors import RequestFailed, SessionTerminated
from sip_p2p.service.applications.answer import LARGEST_BODY, AnswerApplication
from sip_p2p.service.applications.running import RunningApplication
from sip_p2p.service.silence import Silence
from sip_p2p.testing import Network
from tests.service.applications.support import setting
from tests.support import SynchronousTestCase


class AnswerTests(SynchronousTestCase):
    """Alice talks to a party that answers."""

    def setUp(self) -> None:
        """Both on one clock."""
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example")
        self.bob = self.network.party("sip:bob@b.example")
        self.addCleanup(self.network.finish)

    def run_at_bob(self, *arguments: str) -> AnswerApplication:
        """Bob answers as *arguments* say."""
        application = AnswerApplication.make(
            setting("--application", "answer", *arguments, clock=self.bob.connection_manager.reactor)
        )
        RunningApplication(application).attach(self.bob)
        application.started(self.bob)
        return application

    def body(self, octets: bytes) -> Path:
        """A file for ``--answer-body``."""
        path = Path(self.mktemp()).resolve()
        path.write_bytes(octets)
        return path

    def test_silence(self) -> None:
        """row:M14: without more being said, messages are accepted, and sessions with silence."""
        self.run_at_bob()
        response = self.network.run_until(self.alice.send_message("sip:bob@b.example", "hello"))
        session = self.network.run_until(self.alice.invite("sip:bob@b.example", Silence()))
        self.assertEqual(response.status, 200)
        self.assertIn("m=audio 9 RTP/AVP", session.remote_description.text)
        self.assertEqual(self.network.run_until(session.send_message("in it")).status, 200)
        self.network.run_until(session.terminate())

    def test_a_body(self) -> None:
        """row:M14: a session is accepted with what the file holds, under the type that is said, after it rang."""
        path = self.body(b"<x/>")
        application = self.run_at_bob(
            "--answer-body",
            str(path),
            "--answer-type",
            "application/x",
            "--answer-after",
            "3",
            "--answer-status",
            "202",
        )
        response = self.network.run_until(self.alice.send_message("sip:bob@b.example", "hello"))
        self.assertEqual(response.status, 202)
        establishing = self.alice.invite("sip:bob@b.example", "v=0\r\n")
        self.network.advance(2.5)
        self.assertNoResult(establishing)
        session: Any = self.network.run_until(establishing)
        self.assertEqual(
            (session.remote_description.body, session.remote_description.content_type), (b"<x/>", "application/x")
        )
        self.network.run_until(session.terminate())
        self.assertEqual(application.reload(), [])
        path.write_bytes(b"<y/>")
        self.assertEqual(application.reload(), ["--answer-body was read anew"])
        path.write_bytes(b"")
        self.assertEqual(application.reload(), [f"--answer-body stays as it was: {path} is empty"])

    def test_a_refusal(self) -> None:
        """row:M14: a status that refuses is for sessions too."""
        self.run_at_bob("--answer-status", "486")
        for asked in (self.alice.send_message("sip:bob@b.example", "x"), self.alice.invite("sip:bob@b.example", "v=0")):
            self.network.advance(1)
            self.assertEqual(self.failureResultOf(asked, RequestFailed).value.status, 486)

    def test_a_caller_that_gives_up(self) -> None:
        """A caller that gives up while it rings leaves nothing behind."""
        self.run_at_bob("--answer-after", "30")
        session = self.alice.create_session("sip:bob@b.example")
        establishing = session.establish("v=0")
        self.network.advance(1)
        session.terminate()
        self.network.advance(1)
        self.failureResultOf(establishing, SessionTerminated)
        self.assertEqual(self.bob.sessions, ())

    def test_a_session_that_comes_to_nothing(self) -> None:
        """An offer that cannot be answered is told in words."""
        application = setting("--application", "answer", clock=self.bob.connection_manager.reactor)
        events: list[Any] = []
        application.happenings.follow(events.append)
        RunningApplication(AnswerApplication(application)).attach(self.bob)
        establishing = self.alice.invite("sip:bob@b.example", "nonsense")
        self.network.advance(1)
        self.failureResultOf(establishing, RequestFailed)
        self.assertEqual([event.event for event in events], ["session-failed"])

    def test_files_that_cannot_be_used(self) -> None:
        """A body that is missing, empty or too large is told at the start."""
        for octets, words in ((b"", "is empty"), (b"x" * (LARGEST_BODY + 1), f"more than {LARGEST_BODY} octets")):
            given = setting("--application", "answer", "--answer-body", str(self.body(octets)))
            self.assertIn(words, str(self.assertRaises(ValueError, AnswerApplication, given)))
        missing = setting("--application", "answer", "--answer-body", self.mktemp())
        self.assertRaises(OSError, AnswerApplication, missing)
