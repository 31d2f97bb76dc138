"""What is shed at which level, and how the core sheds it."""

from __future__ import annotations

from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import RequestReceived, SendMessage
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.shedding import DRAINING, NEW_WORK, NON_ESSENTIAL, NOTHING, Verdict, verdict
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.uri import SipUri
from sip_p2p.sip.user_agent import UserAgentCore
from tests.support import SynchronousTestCase

METHODS = "ACK BYE CANCEL INVITE MESSAGE OPTIONS SUBSCRIBE X-OWN".split()


def request(
    method: str = "MESSAGE", number: int = 1, *, to_tag: str = "", via: str = "", body: bytes = b"x"
) -> Request:
    """A request of a peer's."""
    found = parse_message(
        f"{method} sip:user@example.com SIP/2.0\r\nVia: SIP/2.0/TLS p.example;rport;branch=z9hG4bK{number}{via}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:p@p.example>;tag=f\r\nTo: <sip:user@example.com>{to_tag}\r\nCall-ID: c{number}"
        f"\r\nCSeq: 1 {method}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    assert isinstance(found, Request)
    return found


class VerdictTests(SynchronousTestCase):
    """Levels, methods, transports."""

    def judged(self, level: int, reliable: bool, to_tag: str = "") -> str:
        """The first letters of the verdicts on all methods."""
        return "".join(verdict(level, request(method, to_tag=to_tag), reliable).value[0] for method in METHODS)

    def test_nothing(self) -> None:
        """Without overload everything passes."""
        self.assertEqual({self.judged(NOTHING, reliable) for reliable in (True, False)}, {"p" * 8})

    def test_new_work(self) -> None:
        """New work is refused on streams and dropped on UDP; what is under way passes on both (row:E20)."""
        self.assertEqual(self.judged(NEW_WORK, True), "ppprrrrr")
        self.assertEqual(self.judged(NEW_WORK, False), "pppddddd")

    def test_within_a_dialog(self) -> None:
        """What belongs to a dialog by its To tag passes, too (row:E20)."""
        for tag in (";tag=1", " ; TAG = 1"):
            self.assertEqual(self.judged(NEW_WORK, False, tag), "p" * 8)

    def test_no_tag_in_an_address(self) -> None:
        """A parameter of the address in To is no tag (row:E20)."""
        odd = request()
        odd.headers.set("To", "<sip:user@example.com;tag=1>")
        self.assertIs(verdict(NEW_WORK, odd, True), Verdict.REFUSE)
        odd.headers.remove("To")
        self.assertIs(verdict(NEW_WORK, odd, True), Verdict.REFUSE)

    def test_non_essential(self) -> None:
        """In the worst state only ACK and BYE are dealt with (row:E20)."""
        for reliable in (True, False):
            for tag in ("", ";tag=1"):
                self.assertEqual(self.judged(NON_ESSENTIAL, reliable, tag), "pp" + "d" * 6)

    def test_draining(self) -> None:
        """Who is on the way out says so on UDP as well (fault:J6)."""
        self.assertEqual({self.judged(DRAINING, reliable) for reliable in (True, False)}, {"ppprrrrr"})


class CoreTests(SynchronousTestCase):
    """The core that sheds."""

    def setUp(self) -> None:
        """A core with a party and two flows."""
        self.core = UserAgentCore(CountingTokens())
        self.core.directory.add(Profile("party", ("MESSAGE",)), SipUri.parse("sip:user@example.com"), "token")
        self.stream = Flow("TLS", True, "us.example", "192.0.2.9", 4000)
        self.datagrams = Flow("UDP", False, "us.example", "192.0.2.9", 4000)

    def give(self, message: Request, flow: Flow | None = None) -> list[bytes]:
        """What is written because of it; requests that reach the party are an empty line."""
        self.core.receive(message, flow or self.stream, 0.0)
        written = []
        for output in self.core.take_outputs():
            if isinstance(output, SendMessage):
                written.append(output.data)
            elif isinstance(output, RequestReceived):
                written.append(b"")
                self.core.respond(output.transaction, self.core.response(output.transaction, 200), 0.0)
        return written

    def test_refusal(self) -> None:
        """New work gets 503 with a Retry-After of 2 to 8 seconds, no transaction, and not everybody the same time
        (row:E20)."""
        self.core.shedding = NEW_WORK
        waits = set()
        for number in range(100):
            (answer,) = self.give(request(number=number))
            response = parse_message(answer)
            self.assertEqual((answer[:11], response.headers.get("Call-ID")), (b"SIP/2.0 503", f"c{number}"))
            self.assertIn(";received=192.0.2.9", response.headers.get("Via") or "")
            waits.add(int(response.headers.get("Retry-After") or 0))
        self.assertEqual(waits, set(range(2, 9)))
        inventory = self.core.layer.inventory()
        self.assertEqual({name for name, count in inventory.items() if count}, set())
        self.assertEqual(self.core.counters.refused_overloaded, 100)
        self.assertEqual(self.core.traffic.responses_out[503], 100)

    def test_same_answer_each_time(self) -> None:
        """The same request gets the same answer again, though nothing is remembered of it (RFC 3261 section 8.2.7)."""
        self.core.shedding = NEW_WORK
        self.assertEqual(self.give(request()), self.give(request()))

    def test_tag_of_the_answer(self) -> None:
        """An answer gets a tag where the request has none, and keeps the one that it has, however it is written (RFC
        3261 section 8.2.6.2)."""
        self.core.bound(0, 1, 0, 0)
        for to, adds in (
            ("<sip:user@example.com>;tag=1", False),
            ("<sip:user@example.com> ; Tag = 1", False),
            ("<sip:user@example.com;tag=1>", True),
            ('";tag=1" <sip:user@example.com>', True),
            ("sip:user@example.com", True),
        ):
            asked = request()
            asked.headers.set("To", to)
            (answer,) = self.give(asked)
            said = parse_message(answer).headers["To"]
            self.assertEqual((said.startswith(to), said.count("=") - to.count("=")), (True, int(adds)), to)

    def test_datagrams(self) -> None:
        """On UDP there is no answer at all (row:E20)."""
        self.core.shedding = NEW_WORK
        self.assertEqual(self.give(request(), self.datagrams), [])
        self.assertEqual(self.core.counters.dropped_overloaded, 1)

    def test_answered_before(self) -> None:
        """A datagram that was answered before the overload, and comes again, gets its answer again (row:E20)."""
        self.give(request(), self.datagrams)
        self.core.take_outputs()
        self.core.shedding = NEW_WORK
        (again,) = self.give(request(), self.datagrams)
        self.assertEqual(again[:11], b"SIP/2.0 200")

    def test_without_a_via(self) -> None:
        """What cannot be answered is dropped."""
        self.core.shedding = NEW_WORK
        odd = request()
        odd.headers.set("Via", "nonsense")
        self.assertEqual(self.give(odd), [])

    def test_who_controls_its_own_load(self) -> None:
        """Who takes part in overload control gets no Retry-After, which would stop it altogether (RFC 7339 section
        5.10.2)."""
        self.core.shedding = NEW_WORK
        (answer,) = self.give(request(via=';oc;oc-algo="loss"'))
        self.assertNotIn(b"Retry-After", answer)

    def test_elsewhere(self) -> None:
        """While it departs it names other places for a call, but none that leads back (RFC 3261 section 8.3) or out of
        ``sips`` (RFC 5630 section 4): then there is none (row:B15)."""
        self.core.shedding = DRAINING
        here, there, safe = "sip:user@example.com", "sip:user@there.example", "sips:user@there.example"
        for asked, places, expected in (
            (here, (there, safe), [there, safe]),
            (here, ("sip:user@EXAMPLE.com", there), [there]),
            (here, (here,), []),
            ("sips:user@example.com", (there, safe), [safe]),
            ("sips:user@example.com", (there,), []),
            ("nonsense", (there,), []),
        ):
            self.core.redirect_to = places
            invite = request("INVITE")
            invite.uri_text = asked
            response = parse_message(self.give(invite)[0])
            assert isinstance(response, Response)
            named = [value[1:-1] for value in response.headers.get_all("Contact")]
            self.assertEqual((response.status, named), (302 if expected else 503, expected))

    def test_passes(self) -> None:
        """What passes is dealt with as ever (row:E20)."""
        self.core.shedding = NON_ESSENTIAL
        (answer,) = self.give(request("BYE", to_tag=";tag=1"))
        self.assertEqual(answer[:11], b"SIP/2.0 405")
        self.core.shedding = NOTHING
        self.assertEqual(self.give(request(number=2)), [b""])

    def test_no_room(self) -> None:
        """Without room for another transaction the answer is the same 503 (fault:H7)."""
        core = self.core = UserAgentCore(CountingTokens(), transactions=1)
        core.directory.add(Profile("party", ("MESSAGE",)), SipUri.parse("sip:user@example.com"), "token")
        core.receive(request(number=1), self.stream, 0.0)
        core.take_outputs()
        (answer,) = self.give(request(number=2))
        self.assertEqual(answer[:11], b"SIP/2.0 503")
        self.assertEqual(core.counters.refused_full, 1)
        core.layer.bound(2, 10, 10, 1000)
        self.assertEqual(self.give(request(number=3)), [b""])
