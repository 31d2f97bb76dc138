"""What a recorder keeps, how it is asked and followed, and what it never shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.observe.recorder import Recorder
from sip_p2p.observe.redact import BodyPolicy
from sip_p2p.observe.trace import Tap
from sip_p2p.transport.flow import LiveFlow
from tests.manual import ROOT, blocks
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from sip_p2p.observe.trace import TraceEvent


def flow(remote: str = "192.0.2.7", peer: str = "b.example") -> LiveFlow:
    """A TLS connection from 192.0.2.1 to *remote*, who has proved *peer*."""
    made = LiveFlow("TLS", True, "a.example:5061", ("192.0.2.1", 40000), (remote, 5061), is_incoming=False)
    made.peer = peer
    return made


def message(call_id: str = "1", method: str = "MESSAGE", body: str = "hello", kind: str = "text/plain") -> bytes:
    """A request."""
    return (
        f"{method} sip:bob:hunter2@b.example SIP/2.0\r\n"
        f"Via: SIP/2.0/TLS a.example;branch=z9hG4bK{call_id}\r\n"
        f"From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@b.example>\r\n"
        f"Call-ID: {call_id}\r\nCSeq: 1 {method}\r\n"
        f'Authorization: Digest username="alice", response="5ec2e7"\r\n'
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def answer(call_id: str = "1", method: str = "MESSAGE") -> bytes:
    """A 200 to it."""
    return (
        f"SIP/2.0 200 OK\r\nv: SIP/2.0/TLS a.example;branch=z9hG4bK{call_id}\r\n"
        f"i: {call_id}\r\nCSeq: 1 {method}\r\nl: 0\r\n\r\n"
    ).encode()


class KeepingTests(SynchronousTestCase):
    """What is kept, and what gives way."""

    def test_a_message_is_an_event(self) -> None:
        """What is shown of a message is what a tap would have kept of it, with its place in the record."""
        recorder, tap = Recorder(), Tap()
        on = flow()
        for each in (recorder, tap):
            each.message("out", on, message(), 12.5)
        (event,), (other,) = recorder.events(), tap.events()
        self.assertEqual(event.to_json(), other.to_json())
        self.assertEqual((event.number, event.flow), (1, on.number))
        self.assertEqual((event.local_host, event.local_port), ("192.0.2.1", 40000))
        self.assertEqual((event.remote_host, event.remote_port), ("192.0.2.7", 5061))

    def test_secrets_are_never_shown(self) -> None:
        """row:M11 fault:B5: neither who asks nor who follows sees a credential, a password or a body."""
        recorder = Recorder()
        seen: list[TraceEvent] = []
        recorder.follow(seen.append)
        recorder.message("in", flow(), message(body="meet at seven"), 0.0)
        for event in (*recorder.events(), *seen):
            for secret in ("5ec2e7", "hunter2", "seven"):
                self.assertNotIn(secret, event.to_json())
            self.assertEqual(event.length, len("meet at seven"))

    def test_bodies_by_policy(self) -> None:
        """row:M11: a body is shown where the policy keeps its type, and without the keys that are in it."""
        recorder = Recorder(bodies=BodyPolicy.parse("application/sdp"))
        sdp = "v=0\r\nk=clear:9z\r\na=crypto:1 AES inline:d0RmdmcmVCspeEc3\r\na=ice-pwd:asd88fgpdd\r\na=sendrecv\r\n"
        recorder.message("in", flow(), message(body="meet at seven"), 0.0)
        recorder.message("in", flow(), message(body=sdp, kind="application/sdp"), 0.0)
        text, description = recorder.events()
        self.assertIsNone(text.body)
        self.assertEqual(
            description.body,
            b"v=0\r\nk=(withheld)\r\na=crypto:(withheld)\r\na=ice-pwd:(withheld)\r\na=sendrecv\r\n",
        )

    def test_the_ring_of_a_flow_is_bounded(self) -> None:
        """The oldest event of a flow gives way, and those of other flows stay."""
        recorder = Recorder(per_flow=2)
        quiet, busy = flow(), flow()
        recorder.message("in", quiet, message("0"), 0.0)
        for number in range(5):
            recorder.message("in", busy, message(str(number)), float(number))
        self.assertEqual([event.call_id for event in recorder.events(flow=busy.number)], ["3", "4"])
        self.assertEqual(len(recorder.events(flow=quiet.number)), 1)
        self.assertEqual([found.messages for found in recorder.flows()], [1, 5])

    def test_flows_are_bounded(self) -> None:
        """The flow on which nothing has passed for longest gives way to a new one."""
        recorder = Recorder(flows=2)
        first, second, third = flow(), flow(), flow()
        for each in (first, second, first, third):
            recorder.message("in", each, message(), 0.0)
        self.assertEqual([found.number for found in recorder.flows()], [first.number, third.number])

    def test_octets_are_bounded(self) -> None:
        """What is kept of all flows stays below the bound; of a single flow its newest messages are left."""
        size = len(message("x" * 100))
        recorder = Recorder(bodies=BodyPolicy(is_all=True), most_octets=3 * size)
        for each in (flow(), flow()):
            for _ in range(5):
                recorder.message("in", each, message("x" * 100), 0.0)
                self.assertLessEqual(recorder.octets, 3 * size)
        self.assertEqual(len(recorder.events()), 3)

    def test_what_is_taken_away_is_counted_off(self) -> None:
        """When every ring is gone no octet is left in the account."""
        now = [0.0]
        recorder = Recorder(per_flow=3, clock=lambda: now[0])
        for _ in range(4):
            on = flow()
            for _ in range(5):
                recorder.message("in", on, message(), now[0])
            recorder.flow_ended(on.number, "it was closed")
        now[0] = 601.0
        self.assertEqual((recorder.flows(), recorder.octets), ((), 0))

    def test_a_flow_that_is_gone_is_kept_for_a_while(self) -> None:
        """Ten minutes after its end the ring of a flow is dropped; until then it says when and why it ended."""
        now = [100.0]
        recorder = Recorder(clock=lambda: now[0])
        on = flow()
        recorder.message("in", on, message(), now[0])
        recorder.flow_ended(on.number, "the peer closed it")
        now[0] = 700.0
        (found,) = recorder.flows()
        self.assertEqual((found.ended, found.reason, found.kept), (100.0, "the peer closed it", 2))
        now[0] = 700.5
        self.assertEqual((recorder.flows(), recorder.events()), ((), ()))

    def test_nothing_keeps_a_flow_alive(self) -> None:
        """The record has copies of what it says of a flow, and the end of one that it never saw means nothing."""
        recorder = Recorder()
        recorder.flow_ended(12345, "unseen")
        self.assertEqual(recorder.events(), ())

    def test_bounds_below_one(self) -> None:
        """A record of nothing is refused: whoever wants none makes none."""
        for bound in ("per_flow", "flows", "max_octets", "most_octets"):
            self.assertRaises(ValueError, Recorder, **{bound: 0})


class ClippingTests(SynchronousTestCase):
    """A message that is larger than what is kept of one."""

    def test_half_a_line_could_be_half_a_secret(self) -> None:
        """row:M11: wherever a head is cut, no piece of a password or credential is left."""
        whole = message()
        for most in range(1, len(whole)):
            recorder = Recorder(max_octets=most)
            recorder.message("in", flow(), whole, 0.0)
            (event,) = recorder.events()
            self.assertTrue(event.clipped)
            for piece in ("hunt", "5ec"):
                self.assertNotIn(piece, event.head)

    def test_half_a_line_in_a_body(self) -> None:
        """row:M11: the same of a message in a body."""
        inner = "REFER sip:carol SIP/2.0\r\nRefer-To: <sip:carol:hunter2@c.example>\r\n\r\n"
        whole = message(body=inner, kind="message/sipfrag")
        for most in range(len(whole) - len(inner), len(whole)):
            recorder = Recorder(max_octets=most, bodies=BodyPolicy(is_all=True))
            recorder.message("in", flow(), whole, 0.0)
            (event,) = recorder.events()
            self.assertNotIn(b"hunt", event.body or b"")

    @given(st.binary(max_size=200), st.integers(1, 220), st.sampled_from(["none", "all", "text/*"]))
    def test_any_octets_can_be_recorded(self, data: bytes, most: int, policy: str) -> None:
        """Whatever passes is kept and shown, never larger than the bound."""
        recorder = Recorder(max_octets=most, bodies=BodyPolicy.parse(policy))
        recorder.message("in", flow(), data, 0.0)
        self.assertLessEqual(recorder.octets, most)
        (event,) = recorder.events()
        self.assertEqual(event.clipped, len(data) > most)


class AskingTests(SynchronousTestCase):
    """Filters, in the past and in the future."""

    def setUp(self) -> None:
        super().setUp()
        self.recorder = Recorder()
        self.bob, self.carol = flow(), flow("192.0.2.8", "c.example")

    def play(self) -> None:
        """A message to bob and one to carol with their answers, and a note."""
        for number, on in enumerate((self.bob, self.carol), 1):
            method = "MESSAGE" if on is self.bob else "OPTIONS"
            self.recorder.message("out", on, message(str(number), method), 0.0)
            self.recorder.message("in", on, answer(str(number), method), 0.0)
        self.recorder.note("somebody was refused", 1.0, remote="192.0.2.9:1")

    def found(self, **filters: object) -> list[int]:
        """The numbers of the events that pass."""
        return [event.number for event in self.recorder.events(**filters)]  # type: ignore[arg-type]

    def test_every_filter(self) -> None:
        """By flow, Call-ID, peer and method, each alone and together; compact field names are understood."""
        self.play()
        self.assertEqual(self.found(), [1, 2, 3, 4, 5])
        self.assertEqual(self.found(flow=self.carol.number), [3, 4])
        self.assertEqual(self.found(flow=0), [5])
        self.assertEqual(self.found(flow=999_999_999), [])
        self.assertEqual(self.found(call_id="1"), [1, 2])
        self.assertEqual(self.found(peer="C.example"), [3, 4])
        self.assertEqual(self.found(peer="192.0.2.7"), [1, 2])
        self.assertEqual(self.found(peer="192.0.2.9:1"), [5])
        self.assertEqual(self.found(method="OPTIONS"), [3, 4])
        self.assertEqual(self.found(method="OPTIONS", call_id="1"), [])

    def test_pages(self) -> None:
        """Without *since* the newest come; with it, those that follow it, so that nothing is passed over."""
        self.play()
        self.assertEqual(self.found(limit=2), [4, 5])
        self.assertEqual(self.found(since=1, limit=2), [2, 3])
        self.assertEqual(self.found(since=0, limit=2), [1, 2])
        self.assertEqual(self.found(since=5), [])
        self.assertEqual(self.recorder.newest, 5)

    def test_following(self) -> None:
        """Who follows hears what passes from now on, by the same filters, until it leaves."""
        heard: list[int] = []
        leave = self.recorder.follow(lambda event: heard.append(event.number), peer="c.example")
        self.play()
        leave()
        leave()
        self.play()
        self.assertEqual(heard, [3, 4])

    def test_who_follows_harms_nobody(self) -> None:
        """A follower that raises is logged, and the others hear of the message all the same."""
        heard: list[int] = []
        self.recorder.follow(lambda event: 1 / 0)
        self.recorder.follow(lambda event: heard.append(event.number))
        self.play()
        self.assertEqual(heard, [1, 2, 3, 4, 5])
        self.assertGreaterEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_note_about_a_flow(self) -> None:
        """A note that is about a flow stands in its ring, with its addresses, and counts against its bound."""
        recorder = Recorder(per_flow=2)
        for number in range(3):
            recorder.message("in", self.bob, message(str(number)), 0.0)
        recorder.note("lost", flow=self.bob.number)
        event = recorder.events(flow=self.bob.number)[-1]
        self.assertEqual(
            (event.kind, event.note, event.remote, event.peer), ("note", "lost", "192.0.2.7:5061", "b.example")
        )
        self.assertEqual(len(recorder.events()), 2)


class PageTests(SynchronousTestCase):
    """The chapter on seeing inside."""

    def test_the_program(self) -> None:
        """What docs/observe.rst shows of the recorder runs, follows a message and draws it."""
        said: list[str] = []
        program = next(block for block in blocks(ROOT / "docs/observe.rst", "python") if "Recorder" in block)
        exec(program, names := {"print": lambda *words: said.append(" ".join(map(str, words)))})
        self.assertEqual(said[:2], ["MESSAGE sip:bob@b.example SIP/2.0", "SIP/2.0 200 OK"])
        self.assertIn("200 OK (MESSAGE)", said[2])
        self.assertTrue(said[3].endswith("b.example 2"))
        names["network"].finish()  # type: ignore[attr-defined]
