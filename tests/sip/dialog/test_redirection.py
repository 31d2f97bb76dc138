"""The targets of redirections: their order, their bounds, and what a URI may ask for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.redirection import Redirection, another_attempt, fields_of_uri
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Response
from sip_p2p.sip.uri import SipUri

BOB = "sip:bob@b.example"


def moved(*contacts: str) -> Response:
    """A 302 with these Contact fields."""
    return Response(302, None, [("Contact", contact) for contact in contacts])


def redirection(uri: str = BOB, hops: int = 5, targets: int = 16) -> Redirection:
    """The targets of a call to *uri*."""
    return Redirection(uri, hops, targets)


class ContactsTests(SynchronousTestCase):
    """What a 3xx names."""

    CASES = (
        # what Contact says, and what may be tried
        (("<sip:a@x.example>",), ["sip:a@x.example"]),
        ((), []),
        (("<sip:a@x.example>;q=0.1, <sip:b@x.example>;q=0.7",), ["sip:b@x.example", "sip:a@x.example"]),
        (("<sip:a@x.example>;q=0.1", "<sip:b@x.example>;q=0.7"), ["sip:b@x.example", "sip:a@x.example"]),
        (("<sip:a@x.example>;q=0.9, <sip:b@x.example>",), ["sip:b@x.example", "sip:a@x.example"]),
        (("<sip:a@x.example>;q=0.5, <sip:b@x.example>;q=0.5",), ["sip:a@x.example", "sip:b@x.example"]),
        (("<sip:a@x.example>;q=much, <sip:b@x.example>;q=0.5",), ["sip:a@x.example", "sip:b@x.example"]),
        (("<sip:a@x.example>;q=0.2, <sip:a@x.example>;q=0.8",), ["sip:a@x.example"]),
        ((f"<{BOB}>, <sip:a@x.example>",), ["sip:a@x.example"]),
        (("<sip:BOB@b.example>",), ["sip:BOB@b.example"]),
        (("<sip:bob@B.EXAMPLE>",), []),
        (("<tel:+15551234>, <mailto:bob@b.example>, <https://b.example/>, <sip:a@x.example>",), ["sip:a@x.example"]),
        (("*",), []),
        (("<sip:a@x.example>;=", "<sip:b@x.example>"), ["sip:b@x.example"]),
        (("<sip:@@>", "<sip:b@x.example>"), ["sip:b@x.example"]),
        (("<sips:a@x.example>",), ["sips:a@x.example"]),
    )

    def test_order(self) -> None:
        """8.1.3.4: the Contacts are tried by q, those that were tried or cannot be called are not. row:H7"""
        for contacts, expected in self.CASES:
            self.assertEqual(redirection().contacts(moved(*contacts)), expected, contacts)

    def test_sips_stays_sips(self) -> None:
        """RFC 5630 section 4: a call to a sips URI follows no Contact out of TLS. row:H7"""
        found = redirection("sips:bob@b.example").contacts(moved("<sip:a@x.example>, <sips:a@x.example>"))
        self.assertEqual(found, ["sips:a@x.example"])

    def test_tls_stays_tls(self) -> None:
        """What TLS has carried names no target in clear, and every other one: row:H7 fault:D8"""
        contacts = (
            "<sip:a@x.example;transport=udp>, <sip:a@x.example;transport=TCP>, <sip:a@x.example;transport=ws>",
            "<sip:b@x.example>, <sip:c@x.example;transport=TLS>, <sips:d@x.example;transport=tcp>",
        )
        self.assertEqual(
            redirection().contacts(moved(*contacts), Flow("TLS", True, "here.example", "192.0.2.9", 5061)),
            ["sip:b@x.example", "sip:c@x.example;transport=TLS", "sips:d@x.example;transport=tcp"],
        )
        self.assertEqual(len(redirection().contacts(moved(*contacts))), 6)

    def test_not_to_this_machine(self) -> None:
        """Who is elsewhere leads no call to loopback, where it would seem to come from within: row:H7 fault:D8"""
        contacts = "<sip:a@127.0.0.1>, <sip:a@LOCALHOST:5070>, <sip:a@[::1]>, <sip:a@x.example;maddr=127.0.0.1>"
        for host, count in (("192.0.2.9", 0), ("127.0.0.1", 4)):
            found = redirection().contacts(moved(contacts), Flow("UDP", False, "here.example", host, 5060))
            self.assertEqual(len(found), count, host)

    def test_a_phone_number_may_be_redirected(self) -> None:
        """What is called first need not be a SIP URI: a proxy may know what to do with it."""
        targets = redirection("tel:+15551234")
        self.assertEqual(targets.contacts(moved("<sip:a@x.example>")), ["sip:a@x.example"])

    def test_no_uri(self) -> None:
        """A call to what is no URI is refused where it is made."""
        self.assertRaises(MalformedMessage, redirection, "sip:@")


class FollowTests(SynchronousTestCase):
    """What is tried, and for how long."""

    def test_in_turn(self) -> None:
        """8.1.3.4: the targets are tried one after the other, each once. row:H7"""
        targets = redirection()
        targets.follow(["sip:a@x.example", "sip:b@x.example", "sip:a@x.example"])
        self.assertEqual([str(targets.next()) for _ in range(3)], ["sip:a@x.example", "sip:b@x.example", "None"])

    def test_deeper_first(self) -> None:
        """A target that redirects in its turn is followed before the others of the first redirection. row:H7"""
        targets = redirection()
        targets.follow(["sip:a@x.example", "sip:b@x.example"])
        self.assertEqual((str(targets.next()), targets.hops), ("sip:a@x.example", 1))
        targets.follow(["sip:c@x.example"])
        self.assertEqual((str(targets.next()), targets.hops), ("sip:c@x.example", 2))
        self.assertEqual((str(targets.next()), targets.hops), ("sip:b@x.example", 1))
        self.assertIsNone(targets.next())

    def test_no_loop(self) -> None:
        """Two that redirect to each other are each called once. row:H7"""
        targets = redirection()
        self.assertEqual(targets.contacts(moved("<sip:a@x.example>")), ["sip:a@x.example"])
        targets.follow(["sip:a@x.example"])
        targets.next()
        self.assertEqual(targets.contacts(moved(f"<{BOB}>")), [])
        targets.follow([BOB])
        self.assertIsNone(targets.next())

    def test_hops(self) -> None:
        """No more redirections follow one another than the bound says. row:H7"""
        targets = redirection(hops=2)
        for host in ("a", "b"):
            self.assertTrue(targets.may_follow)
            targets.follow([f"sip:{host}@x.example"])
            targets.next()
        self.assertFalse(targets.may_follow)
        self.assertFalse(redirection(hops=0).may_follow)

    def test_targets(self) -> None:
        """No more targets are called than the bound says, however many are named. row:H7"""
        targets = redirection(targets=3)
        targets.follow([f"sip:a{number}@x.example" for number in range(1000)])
        tried = []
        while (uri := targets.next()) is not None:
            tried.append(str(uri))
        self.assertEqual(tried, [f"sip:a{number}@x.example" for number in range(3)])
        self.assertFalse(targets.may_follow)

    def test_given_up(self) -> None:
        """What is given up is not tried."""
        targets = redirection()
        targets.follow(["sip:a@x.example"])
        targets.clear()
        self.assertIsNone(targets.next())

    def test_what_cannot_be_called(self) -> None:
        """A target that cannot be called is the caller's mistake, and none of the list is called then."""
        for target in ("tel:+15551234", "mailto:bob@b.example", "sip:@", "bob"):
            targets = redirection()
            self.assertRaises(ValueError, targets.follow, ["sip:a@x.example", target])
            self.assertIsNone(targets.next())

    def test_sips_stays_sips(self) -> None:
        """RFC 5630 section 4: no target takes a sips call out of TLS, whoever names it."""
        self.assertRaises(ValueError, redirection("sips:bob@b.example").follow, ["sip:a@x.example"])


class FieldsOfUriTests(SynchronousTestCase):
    """Section 19.1.5: what a URI may put into our request."""

    CASES = (
        ("sip:a@x.example", []),
        ("sip:a@x.example?Subject=hello%20you&Priority=urgent", [("Subject", "hello you"), ("Priority", "urgent")]),
        ("sip:a@x.example?subject=hello", [("Subject", "hello")]),
        ("sip:a@x.example?s=hello", [("Subject", "hello")]),
        ("sip:a@x.example?From=sip:eve%40e.example&Call-ID=1&CSeq=7%20BYE&Via=x&Record-Route=sip:e.example", []),
        ("sip:a@x.example?Route=sip:e.example&Contact=sip:e.example&To=sip:e.example&Max-Forwards=0", []),
        ("sip:a@x.example?Accept=x/y&Allow=BYE&Supported=x&User-Agent=x&Organization=x&Require=x", []),
        ("sip:a@x.example?Authorization=x&Proxy-Authorization=x&Replaces=x&Join=x&Referred-By=x", []),
        ("sip:a@x.example?body=v%3D0&Content-Type=application/sdp", []),
        ("sip:a@x.example?Subject=a%0D%0AVia:%20x", []),
    )

    def test_fields(self) -> None:
        """19.1.5: fields that could mislead or forge are not taken, nor is a body. row:H7"""
        for uri, expected in self.CASES:
            self.assertEqual(fields_of_uri(SipUri.parse(uri)), expected, uri)


class AttemptTests(SynchronousTestCase):
    """One more INVITE of the same call."""

    def test_same_call(self) -> None:
        """8.1.3.4: To, From, its tag and the Call-ID stay, CSeq is one higher, the Request-URI is the target. row:H7"""
        plan = RequestPlan("INVITE", BOB, "<sip:alice@a.example>", "tag", "call")
        plan.body, plan.content_type, plan.routes, plan.contact = b"offer", "application/sdp", ["<sip:p;lr>"], "<sip:x>"
        attempt = another_attempt(
            plan, SipUri.parse("sip:a@x.example;method=INVITE?Subject=x"), [("Subject", "x"), ("Supported", "100rel")]
        ).build()
        self.assertEqual(attempt.start_line, "INVITE sip:a@x.example SIP/2.0")
        self.assertEqual(
            list(attempt.headers),
            [
                ("Max-Forwards", "70"),
                ("Route", "<sip:p;lr>"),
                ("From", "<sip:alice@a.example>;tag=tag"),
                ("To", f"<{BOB}>"),
                ("Call-ID", "call"),
                ("CSeq", "2 INVITE"),
                ("Contact", "<sip:x>"),
                ("Subject", "x"),
                ("Supported", "100rel"),
                ("Content-Type", "application/sdp"),
            ],
        )
        self.assertEqual(attempt.body, b"offer")

    def test_same_target(self) -> None:
        """8.1.3.5: an INVITE that is only mended goes to the same Request-URI."""
        plan = RequestPlan("INVITE", BOB, "<sip:alice@a.example>", "tag", "call")
        again = another_attempt(another_attempt(plan, None, []), None, [])
        self.assertEqual((again.uri, again.cseq), (BOB, 3))
