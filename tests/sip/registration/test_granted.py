"""Tests of :mod:`sip_p2p.sip.registration.granted`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.registration.granted import LONGEST_LIST, Granted, read_granted
from tests.sip.registration.bench import CONTACT, answer
from tests.support import SynchronousTestCase

SENT = f"{CONTACT};reg-id=1"


def read(*fields: tuple[str, str], sent: str = SENT) -> Granted:
    """What a 2xx with these fields grants to who asked for an hour."""
    return read_granted(answer(200, *fields), sent, 3600, "sip:a@b.example")


class ExpiresTests(SynchronousTestCase):
    """For how long."""

    def test_whose_word_counts(self) -> None:
        """The Contact's own time comes before Expires, and that before what was asked for (RFC 3261 section 10.2.4)."""
        for fields, expires in (
            ([("Contact", f"{SENT};expires=100"), ("Expires", "50")], 100),
            ([("Contact", SENT), ("Expires", "50")], 50),
            ([("Contact", SENT)], 3600),
            ([("Contact", f"{SENT};expires=soon"), ("Expires", "never")], 3600),
            ([("Contact", SENT), ("Expires", str(2**32))], 3600),
            ([("Contact", f"{SENT};expires=0")], 0),
            ([("Expires", "70")], 70),
            ([], 3600),
        ):
            self.assertEqual(read(*fields).expires, expires, fields)

    def test_ours(self) -> None:
        """Our binding is known among others by instance and flow, else by its URI, of which what lies between may have
        changed the place (RFC 5626 section 6)."""
        theirs = '<sip:alice-2@192.0.2.7>;+sip.instance="<urn:uuid:2>";reg-id=1;expires=11'
        same = '<sip:other@192.0.2.8:5060>;+sip.instance="<urn:uuid:1>";reg-id=1;expires=12'
        second = f"{CONTACT};reg-id=2;expires=13"
        moved = "<sip:alice-1@203.0.113.1:1234;transport=tls>;expires=14"
        unnumbered = f"{CONTACT};expires=15"
        earlier = "<sip:alice-1@192.0.2.1:39999;transport=tls>;expires=16"
        spelled = '<sip:other@192.0.2.8:5060>;+sip.instance="<URN:UUID:1>";reg-id=1;expires=17'
        for values, expires in (
            ([theirs, same], 12),
            ([second, spelled], 17),
            ([theirs, second], 0),
            ([theirs, moved], 14),
            ([second, unnumbered], 15),
            ([earlier, unnumbered], 15),
            ([earlier, moved], 16),
            (["<tel:+15551234>;expires=9"], 0),
            (["<urn:service:sos>;expires=9", moved], 14),
        ):
            granted = read(("Contact", ", ".join(values)))
            self.assertEqual(granted.expires, expires, values)
            self.assertEqual(len(granted.others), len(values) - bool(expires))

    def test_without_user(self) -> None:
        """A Contact without a user is known by the whole of its URI."""
        sent = "<sip:192.0.2.1:5060>"
        self.assertEqual(read(("Contact", "<sip:192.0.2.2:5060>;expires=5"), sent=sent).expires, 0)
        self.assertEqual(read(("Contact", "<sip:192.0.2.1:5060>;expires=5"), sent=sent).expires, 5)

    def test_unreadable(self) -> None:
        """A Contact that is none makes the whole answer none."""
        self.assertRaises(MalformedMessage, read, ("Contact", "<<<"))

    def test_too_many(self) -> None:
        """Of more bindings than anybody has none is read, and the answer counts as one that lists none."""
        others = ", ".join(f"<sip:u{number}@192.0.2.1>" for number in range(LONGEST_LIST + 1))
        self.assertEqual(read(("Contact", others)).others, ())


class RoutesTests(SynchronousTestCase):
    """Path and Service-Route."""

    def test_in_order(self) -> None:
        """They keep their order over several fields (RFC 3608 section 6.1, RFC 3327 section 5.1)."""
        granted = read(
            ("Service-Route", "<sip:a.example;lr>, <sip:b.example;lr>"),
            ("Service-Route", "<sip:c.example;lr>"),
            ("Path", "<sip:p1.example;lr>,<sip:p2.example>"),
        )
        self.assertEqual(granted.service_route, ("<sip:a.example;lr>", "<sip:b.example;lr>", "<sip:c.example;lr>"))
        self.assertEqual(granted.path, ("<sip:p1.example;lr>", "<sip:p2.example>"))

    def test_wrong(self) -> None:
        """What cannot be a route counts as none: another scheme, no ``lr``, too many, or what cannot be read."""
        many = ", ".join("<sip:a.example;lr>" for _ in range(LONGEST_LIST + 1))
        for value in ("<tel:+15551234>", "<sip:a.example>", "<<<", many, "<sip:a.example;lr>, <mailto:b@c.example>"):
            self.assertEqual(read(("Service-Route", value)).service_route, (), value)


class GruuTests(SynchronousTestCase):
    """GRUUs."""

    def test_given(self) -> None:
        """Both stand in our own Contact (RFC 5627 section 4.2)."""
        contact = f'{SENT};pub-gruu="sip:a@b.example;gr=urn:uuid:1";temp-gruu="sip:tgruu.1@b.example;gr"'
        granted = read(("Contact", contact))
        self.assertEqual(str(granted.public_gruu), "sip:a@b.example;gr=urn:uuid:1")
        self.assertEqual(str(granted.temporary_gruu), "sip:tgruu.1@b.example;gr")

    def test_none(self) -> None:
        """What is no SIP URI with ``gr`` is no GRUU."""
        for value in ("sip:a@b.example", "tel:+15551234", "", "sip:a@b.example;gr?X=1", "<>"):
            granted = read(("Contact", f'{SENT};pub-gruu="{value}"'))
            self.assertIsNone(granted.public_gruu, value)

    def test_of_somebody_else(self) -> None:
        """A public GRUU is our own address with ``gr``, and a temporary one is of our domain (RFC 5627 section 5.1):
        nobody is told another one by us. fault:E7"""
        for public in ("sip:mallory@b.example;gr=1", "sip:a@m.example;gr=1", "sip:b.example;gr=1"):
            self.assertIsNone(read(("Contact", f'{SENT};pub-gruu="{public}"')).public_gruu, public)
        self.assertIsNone(read(("Contact", f'{SENT};temp-gruu="sip:t@m.example;gr"')).temporary_gruu)
        for public in ("sips:a@B.example;gr=1", "sip:%61@b.example;gr=1"):
            self.assertIsNotNone(read(("Contact", f'{SENT};pub-gruu="{public}"')).public_gruu, public)

    def test_of_others(self) -> None:
        """Those of other devices are not ours."""
        other = '<sip:x@192.0.2.9>;+sip.instance="<urn:uuid:9>";pub-gruu="sip:a@b.example;gr=9"'
        self.assertIsNone(read(("Contact", f"{other}, {SENT}")).public_gruu)


class ExampleTests(SynchronousTestCase):
    """What the standards print."""

    def test_two_flows(self) -> None:
        """The bindings of two flows have the same URI in RFC 5626 section 9.2; each answer grants the one that was
        asked for."""
        instance = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>"'
        path = "<sip:wazHDLdIMtUg6r0I/oRZ15zx3zHE1w1Z@ep2.example.com;lr;ob>"
        fields = [("Supported", "path, outbound"), ("Require", "outbound"), ("Path", path)]
        for number in (1, 2):
            contact = f"<sip:bob@192.0.2.2;transport=tcp>;reg-id={number}"
            fields.append(("Contact", f"{contact};expires=3600;{instance}"))
            granted = read_granted(answer(200, *fields), f"{contact};{instance}", 60, "sip:bob@example.com")
            assert granted.contact is not None
            self.assertEqual((granted.contact.params["reg-id"], len(granted.others)), (str(number), number - 1))
            self.assertEqual((granted.expires, granted.is_outbound, granted.path), (3600, True, (path,)))

    def test_crashed(self) -> None:
        """A device that has come back finds its binding of before beside the new one, with the same GRUUs, in RFC 5627
        section 9."""
        instance = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
        public = f"sip:callee@example.com;gr={instance}"
        temporary = "sip:tgruu.7hatz6cn-098shfyq193=ajfux8fyg7ajqqe7@example.com;gr"
        said = f';pub-gruu="{public}";temp-gruu="{temporary}";+sip.instance="<{instance}>"'
        values = (f"<sip:callee@192.0.2.2>{said};expires=3600", f"<sip:callee@192.0.2.1>{said};expires=400")
        for order in (values, values[::-1]):
            response = answer(200, *(("Contact", value) for value in order))
            sent = f'<sip:callee@192.0.2.2>;+sip.instance="<{instance}>"'
            granted = read_granted(response, sent, 60, "sip:callee@example.com")
            self.assertEqual((granted.expires, len(granted.others)), (3600, 1))
            self.assertEqual((str(granted.public_gruu), str(granted.temporary_gruu)), (public, temporary))


class OutboundTests(SynchronousTestCase):
    """What the registrar knows of flows."""

    def test_required(self) -> None:
        """Who follows RFC 5626 says so in Require (section 6)."""
        self.assertTrue(read(("Require", "outbound")).is_outbound)
        self.assertFalse(read(("Require", "timer")).is_outbound)
        self.assertFalse(read(("Require", "@")).is_outbound)
        self.assertEqual(read(("Flow-Timer", "120")).flow_timer, "120")

    @given(st.dictionaries(st.sampled_from(("Contact", "Path", "Service-Route", "Expires", "Require")), st.text()))
    def test_anything(self, fields: dict[str, str]) -> None:
        """Whatever a registrar says is read, or refused as one answer."""
        try:
            given_ = answer(200, *fields.items())
        except ValueError:
            return
        try:
            granted = read_granted(given_, SENT, 3600, "sip:a@b.example")
        except MalformedMessage:
            return
        self.assertGreaterEqual(granted.expires, 0)
