"""What an INVITE says before it is answered: whom it may have reached, why it is refused, where it may go instead."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.answer_options import AnswerOptions
from sip_p2p.sip.dialog.incoming_invite import (
    elsewhere,
    has_option,
    may_ring_elsewhere,
    read_invite,
    wants_secure_contact,
)
from sip_p2p.sip.directory import Directory
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request
from sip_p2p.sip.name_addr import NameAddr
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.uri import SipUri
from tests.sip.dialog.answering import AnswerBench

TLS = Flow("TLS", True, "here.example:5061", "192.0.2.9", 40000, "alice.example")
BOB = Profile("bob", supported=("100rel", "timer"))
UDP = Flow("UDP", False, "here.example:5060", "192.0.2.9", 5060)


def make_invite(uri: str = "sip:bob@b.example", *fields: tuple[str, str], body: bytes = b"") -> Request:
    """An INVITE with a Contact, unless *fields* has another one."""
    headers = [
        ("Via", "SIP/2.0/TLS a.example;branch=z9hG4bK1"),
        ("From", "<sip:alice@a.example>;tag=at"),
        ("To", f"<{uri}>"),
        ("Call-ID", "c1"),
        ("CSeq", "1 INVITE"),
    ]
    if all(name != "Contact" for name, _ in fields):
        headers.append(("Contact", "<sip:alice@192.0.2.9>"))
    return Request("INVITE", uri, [*headers, *((name, value) for name, value in fields if value)], body)


class ReadingTests(SynchronousTestCase):
    """What is refused before anybody hears of it."""

    REFUSALS = (
        # fields (an empty value: none), body, policy, status
        ((("Contact", ""),), b"", "supported", 400),
        ((("Contact", "*"),), b"", "supported", 400),
        ((("Contact", "<sip:a@b>, <sip:c@d>"),), b"", "supported", 400),
        ((("Contact", "<sip:a@b>"), ("Contact", "<sip:c@d>")), b"", "supported", 400),
        ((("Contact", "<mailto:alice@a.example>"),), b"", "supported", 400),
        ((("Contact", "<tel:+15551234>"),), b"", "supported", 400),
        ((("Contact", "<javascript:alert(1)>"),), b"", "supported", 400),
        ((("Contact", "<sip:@>"),), b"", "supported", 400),
        ((("Record-Route", "<sip:p.example;lr>, <<"),), b"", "supported", 400),
        ((("Content-Type", "nothing"),), b"x", "supported", 400),
        ((("Content-Type", "application/sdp"), ("Content-Disposition", ";;")), b"x", "supported", 400),
        ((("Expires", "soon"),), b"", "supported", 400),
        ((("Expires", "0"),), b"", "supported", 487),
        ((("Session-Expires", "soon"), ("Supported", "timer")), b"", "supported", 400),
        ((("Session-Expires", "60"), ("Supported", "timer")), b"", "supported", 422),
        ((("Require", "100rel"),), b"", "off", 420),
        ((), b"", "required", 421),
        ((("Supported", "timer"),), b"", "required", 421),
        # and what is not
        ((), b"", "supported", 0),
        ((), b"", "off", 0),
        ((("Supported", "100rel"),), b"", "off", 0),
        ((("Supported", "timer, 100REL"),), b"", "required", 0),
        ((("Require", "100rel"),), b"", "required", 0),
        ((("Expires", "4294967296"),), b"", "supported", 0),
        ((("Session-Expires", "60"),), b"", "supported", 0),
        ((("Contact", "Alice <sips:alice@[2001:db8::1]:5061>;q=1"),), b"", "supported", 0),
    )

    def test_every_refusal(self) -> None:
        """8.1.1.8, 13.3.1, RFC 3262 section 3, RFC 4028 section 6: what no session can come of is refused. row:H9"""
        for fields, body, policy, status in self.REFUSALS:
            reading = read_invite(
                make_invite("sip:bob@b.example", *fields, body=body), "bt", UDP, BOB, AnswerOptions(policy)
            )
            self.assertEqual(reading.status, status, (fields, policy, reading.fields))

    def test_what_a_refusal_says(self) -> None:
        """RFC 3261 20.40, 20.43, RFC 3262 section 3, RFC 4028 section 6: the field that says what would have done."""
        cases = [
            ("Contact", "*", "supported", "Warning"),
            ("Require", "100rel", "off", "Unsupported"),
            ("Supported", "199", "required", "Require"),
            ("Session-Expires", "60", "supported", "Min-SE"),
        ]
        for name, value, policy, expected in cases:
            more = ("Supported", "timer") if name == "Session-Expires" else ("Subject", "x")
            reading = read_invite(
                make_invite("sip:bob@b.example", (name, value), more), "bt", UDP, BOB, AnswerOptions(policy)
            )
            self.assertEqual([field for field, _ in reading.fields], [expected])

    def test_what_is_read(self) -> None:
        """The offer, how long the invitation is good, and what is wanted of the session timer come with it."""
        fields = (("Content-Type", "application/sdp"), ("Expires", "30"), ("Supported", "timer"))
        reading = read_invite(make_invite("sip:bob@b.example", *fields, body=b"v=0"), "bt", UDP, BOB, AnswerOptions())
        assert reading.offer is not None and reading.session_timer is not None
        self.assertEqual((reading.offer.body, reading.expires, reading.fields), (b"v=0", 30, []))
        assert reading.dialog is not None
        self.assertEqual((reading.dialog.local_tag, reading.dialog.remote_tag), ("bt", "at"))
        reading = read_invite(make_invite("sip:bob@b.example"), "bt", UDP, BOB, AnswerOptions())
        self.assertEqual((reading.offer, reading.expires), (None, None))

    def test_what_the_party_does_not_understand(self) -> None:
        """19.2, RFC 4028 section 6: a party without session timers refuses none, and sets none. row:A19 row:H26"""
        request = make_invite("sip:bob@b.example", ("Session-Expires", "60"), ("Supported", "timer"))
        reading = read_invite(request, "bt", UDP, Profile("bob"), AnswerOptions())
        assert reading.session_timer is not None
        self.assertEqual((reading.status, reading.session_timer.response_fields(0.0)), (0, []))

    def test_a_body_that_is_no_session(self) -> None:
        """20.11: what is there for something else is no offer. row:H24"""
        fields = (("Content-Type", "text/plain"), ("Content-Disposition", "render"))
        reading = read_invite(make_invite("sip:bob@b.example", *fields, body=b"hello"), "bt", UDP, BOB, AnswerOptions())
        self.assertEqual((reading.status, reading.offer), (0, None))

    def test_sips_with_another_contact(self) -> None:
        """RFC 5630 sections 5.1.1 and 5.1.2: an INVITE to a sips URI cannot name a Contact without TLS."""
        for contact, status in (("<sip:a@b>", 400), ("<sips:a@b>", 0)):
            reading = read_invite(
                make_invite("sips:bob@b.example", ("Contact", contact)), "bt", TLS, BOB, AnswerOptions()
            )
            self.assertEqual(reading.status, status)

    def test_hostile_ones_end_to_end(self) -> None:
        """What is refused leaves nothing behind, and the next call is served. fault:D9"""
        for fields, drop in (
            ({}, ("Contact",)),
            ({"Contact": "<mailto:x@y>"}, ()),
            ({"Expires": "0"}, ()),
            ({"Expires": "-1"}, ()),
            ({"Session-Expires": "1"}, ()),
        ):
            for reliable in (False, True):
                bench = AnswerBench(reliable=reliable, fields=fields, drop=drop)
                self.assertEqual((len(bench.log), bench.bob.heard), (1, []), (fields, bench.log))
                self.assertFalse(bench.call.is_open)
                bench.ack(branch="z9hG4bKinvite")
                bench.wait(100.0)
                self.assertEqual(set(bench.bob.inventory().values()), {0}, fields)

    def test_huge_parts(self) -> None:
        """Tags, routes and Contacts of any length are carried as they came; nothing is cut, nothing breaks. fault:D9"""
        tag = "t" * 4000
        routes = ", ".join(f"<sip:p{number}.example;lr>" for number in range(100))
        contact = f"<sip:{'u' * 4000}@alice.example>"
        fields = {"From": f"<sip:alice@alice.example>;tag={tag}", "Record-Route": routes, "Contact": contact}
        bench = AnswerBench(fields=fields)
        bench.do(lambda: bench.call.ring(bench.now))
        response = bench.responses[-1]
        self.assertEqual(response.from_.tag, tag)
        self.assertEqual(response.headers["Record-Route"], routes)
        dialog = bench.bob.usage.dialog
        self.assertEqual((dialog.remote_tag, len(dialog.route_set)), (tag, 100))
        self.assertEqual(f"<{dialog.remote_target}>", contact)


class ForkTests(SynchronousTestCase):
    """Who else may be ringing."""

    def test_every_hint(self) -> None:
        """An INVITE that no proxy passed on has reached us alone; behind one, only the caller can say so. row:H14"""
        more = ("Via", "SIP/2.0/TLS p.example;branch=z9hG4bKp")
        cases = [
            ((), False),
            ((more,), True),
            ((("Via", "SIP/2.0/TLS p.example;branch=z9hG4bKp, SIP/2.0/UDP q.example;branch=z9hG4bKq"),), True),
            ((more, ("Request-Disposition", "no-fork")), False),
            ((more, ("Request-Disposition", "proxy, No-Fork")), False),
            ((more, ("Request-Disposition", "fork")), True),
            ((more, ("Request-Disposition", "no-forks")), True),
            ((more, ("d", "no-fork")), False),
        ]
        for fields, expected in cases:
            self.assertEqual(may_ring_elsewhere(make_invite("sip:bob@b.example", *fields)), expected, fields)

    def test_of_a_call(self) -> None:
        """The hint stands on the call that came in. row:H14"""
        self.assertFalse(AnswerBench().call.is_forked)
        via = "SIP/2.0/TLS p.example;branch=z9hG4bKinvite, SIP/2.0/TLS alice.example;branch=z9hG4bKa"
        self.assertTrue(AnswerBench(fields={"Via": via}).call.is_forked)


class OptionTests(SynchronousTestCase):
    """Supported and Require."""

    def test_has_option(self) -> None:
        """Option tags are compared without case, over all fields; what cannot be read promises nothing."""
        cases = [
            (("100rel",), True),
            (("timer", "199, 100REL"), True),
            (("100relx",), False),
            (("",), False),
            (("a b, 100rel",), False),
            ((), False),
        ]
        for values, expected in cases:
            request = make_invite("sip:bob@b.example", *(("Supported", value) for value in values))
            self.assertEqual(has_option(request, "Supported", "100rel"), expected, values)


class SecureContactTests(SynchronousTestCase):
    """When our Contact has to be a sips URI."""

    def test_every_case(self) -> None:
        """12.1.1: by the Request-URI, then the top Record-Route, then, without one, the Contact."""
        cases = [
            ("sip:bob@b.example", (), False),
            ("sips:bob@b.example", (), True),
            ("SIPS:bob@b.example", (), True),
            ("sip:bob@b.example", (("Contact", "<sips:a@b>"),), True),
            ("sip:bob@b.example", (("Record-Route", "<sips:p;lr>"),), True),
            ("sip:bob@b.example", (("Record-Route", "<sip:p;lr>, <sips:q;lr>"),), False),
            ("sip:bob@b.example", (("Record-Route", "<sip:p;lr>"), ("Contact", "<sips:a@b>")), False),
            ("sip:bob@b.example", (("Contact", "*"),), False),
            ("sip:bob@b.example", (("Contact", "<<"),), False),
            ("sip:bob@b.example", (("Contact", ""),), False),
        ]
        for uri, fields, expected in cases:
            self.assertEqual(wants_secure_contact(make_invite(uri, *fields)), expected, (uri, fields))


class ElsewhereTests(SynchronousTestCase):
    """Where a call may be sent instead."""

    def setUp(self) -> None:
        """One party, and another one that lives here too."""
        self.directory = Directory()
        self.profile = Profile("bob")
        gruu = SipUri.parse("sip:g@b.example")
        self.directory.add(self.profile, SipUri.parse("sip:bob@b.example"), "bob-token", gruu)
        self.other = Profile("carol")
        self.directory.add(self.other, SipUri.parse("sip:carol@b.example"), "carol-token")

    def ask(self, contacts: list[NameAddr | str], status: int = 302, uri: str = "sip:bob@b.example") -> list[str]:
        """The Contact values."""
        return elsewhere(contacts, status, make_invite(uri), self.profile, self.directory)

    def test_contacts(self) -> None:
        """13.3.1.2, 20.10: URIs and addresses with q go out in the order in which they were given. row:H6"""
        given: list[NameAddr | str] = ["sip:c@c.example", "<sip:d@d.example>;q=0.5", NameAddr("tel:+1555", "Desk")]
        self.assertEqual(self.ask(given), ["<sip:c@c.example>", "<sip:d@d.example>;q=0.5", '"Desk" <tel:+1555>'])
        self.assertEqual(self.ask(["sip:carol@b.example"]), ["<sip:carol@b.example>"])
        self.assertEqual(self.ask(["sip:proxy.example"], 305), ["<sip:proxy.example>"])
        self.assertEqual(self.ask(["sips:c@c.example"], uri="sips:bob@b.example"), ["<sips:c@c.example>"])

    def test_what_leads_nowhere(self) -> None:
        """8.3, 21.3.4, RFC 5630 section 4: none, what cannot be read, ourselves, two proxies, and out of TLS. row:H6"""
        for contacts, status, uri in (
            ([], 302, "sip:bob@b.example"),
            (["no uri"], 302, "sip:bob@b.example"),
            (["sip:x@y\r\nEvil: 1"], 302, "sip:bob@b.example"),
            (["sip:c@c.example", "sip:bob@b.example"], 302, "sip:bob@b.example"),
            (["sip:bob@B.EXAMPLE"], 302, "sip:bob@b.example"),
            (["sip:bob-token@192.0.2.1:5061"], 302, "sip:bob@b.example"),
            (["sip:g@b.example;transport=tls"], 302, "sip:bob@b.example"),
            (["sip:who@else.example"], 302, "sip:who@else.example"),
            (["sip:p.example", "sip:q.example"], 305, "sip:bob@b.example"),
            (["sip:c@c.example"], 302, "sips:bob@b.example"),
        ):
            self.assertRaises(ValueError, self.ask, contacts, status, uri)
