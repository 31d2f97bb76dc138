"""Tests of the messages that we make ourselves."""

from __future__ import annotations

from hypothesis import given, settings

from sip_p2p.errors import InvalidOperation, RestrictedHeader
from sip_p2p.sip.compose import RESTRICTED_HEADERS, Echo, RequestPlan, application_fields
from sip_p2p.sip.headers import COMPACT_FORMS, Headers
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import parse_message
from tests.sip.grammar import NASTY_TEXT
from tests.sip.harness import message
from tests.support import SynchronousTestCase


class ApplicationFieldTests(SynchronousTestCase):
    """What an application may add to a message."""

    def test_canonical_names(self) -> None:
        """Fields come back in order, under their canonical names, without surrounding blanks (row:A8, row:F6)."""
        given_ = [("s", "night"), ("X-own", " 1\t"), ("ORGANIZATION", "us"), ("X-own", "2")]
        self.assertEqual(
            application_fields(given_),
            [("Subject", "night"), ("X-own", "1"), ("Organization", "us"), ("X-own", "2")],
        )
        self.assertEqual(application_fields(iter(())), [])

    def test_restricted(self) -> None:
        """Every field of the stack is refused by its name, in any capitals and in its compact form (row:A8,
        row:F6)."""
        compact = {full: letter for letter, full in COMPACT_FORMS.items()}
        for name in RESTRICTED_HEADERS:
            for spelling in (name, name.lower(), name.upper(), name.swapcase(), compact.get(name, name)):
                with self.assertRaises(RestrictedHeader) as caught:
                    application_fields([("Subject", "x"), (spelling, "1")])
                self.assertEqual(caught.exception.name, name)
                self.assertIsInstance(caught.exception, ValueError)
                self.assertIsInstance(caught.exception, InvalidOperation)

    def test_unrestricted(self) -> None:
        """A tool that tests other stacks may set them, and still cannot break a line (row:F6, fault:B1)."""
        self.assertEqual(application_fields([("v", "x")], restricted=False), [("Via", "x")])
        with self.assertRaises(ValueError):
            application_fields([("v", "x\r\ny: z")], restricted=False)

    def test_what_is_no_field(self) -> None:
        """A name that is no token and a value that would end its line are a ValueError, no text at all a TypeError
        (fault:B1, row:M4)."""
        for name, value in (
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("a\r\n", "x"),
            ("ä", "x"),
            ("X", "a\rb"),
            ("X", "a\0"),
        ):
            with self.assertRaises(ValueError, msg=repr((name, value))):
                application_fields([(name, value)])
        for value in (5, None, b"x"):
            with self.assertRaises(TypeError):
                application_fields([("X", value)])  # type: ignore[list-item]

    @settings(max_examples=200, deadline=None)
    @given(NASTY_TEXT, NASTY_TEXT)
    def test_nothing_gets_out(self, name: str, value: str) -> None:
        """Whatever passes comes out of the parser as the one field that went in (fault:B1)."""
        try:
            fields = application_fields([(name, value)])
            plan = RequestPlan("MESSAGE", "sip:b@b.example", "<sip:a@a.example>", "t", "c")
            plan.fields = fields
            octets = plan.build().serialise()
        except ValueError:
            return
        request = parse_message(octets)
        assert isinstance(request, Request)
        added = [field for field in request.headers if field[0] not in (*RESTRICTED_HEADERS,)]
        self.assertEqual(added, fields)


class RequestPlanTests(SynchronousTestCase):
    """RFC 3261 section 8.1.1."""

    def plan(self) -> RequestPlan:
        """A plan for a MESSAGE."""
        return RequestPlan("MESSAGE", "sip:bob@b.example", '"A" <sip:alice@a.example>', "ft", "call-1")

    def test_least_request(self) -> None:
        """A request has Max-Forwards, From with its tag, To without one, Call-ID and CSeq; the Via comes later."""
        request = self.plan().build()
        self.assertEqual((request.method, request.uri_text, request.body), ("MESSAGE", "sip:bob@b.example", b""))
        self.assertEqual(
            list(request.headers),
            [
                ("Max-Forwards", "70"),
                ("From", '"A" <sip:alice@a.example>;tag=ft'),
                ("To", "<sip:bob@b.example>"),
                ("Call-ID", "call-1"),
                ("CSeq", "1 MESSAGE"),
            ],
        )

    def test_everything(self) -> None:
        """Routes come in their order, the body with its type, further fields as they were given (section 8.1.2)."""
        plan = self.plan()
        plan.to, plan.cseq, plan.contact = "<sip:other@b.example>", 7, "<sip:alice@192.0.2.1>"
        plan.routes = ["<sip:p1;lr>", "<sip:p2;lr>"]
        plan.fields = [("Subject", "x"), ("X-Night", "1"), ("X-Night", "2")]
        plan.body, plan.content_type = b"hi", "text/plain"
        headers = plan.build().headers
        self.assertEqual(headers.get_all("Route"), ["<sip:p1;lr>", "<sip:p2;lr>"])
        self.assertEqual(headers.get_all("X-Night"), ["1", "2"])
        self.assertEqual(
            [headers[name] for name in ("To", "CSeq", "Contact", "Subject", "Content-Type")],
            ["<sip:other@b.example>", "7 MESSAGE", "<sip:alice@192.0.2.1>", "x", "text/plain"],
        )

    def test_body_and_type(self) -> None:
        """A body must say what it is, and where there is no body there is no type (RFC 3261 section 7.4.1)."""
        plan = self.plan()
        plan.body = b"hi"
        with self.assertRaises(ValueError):
            plan.build()
        plan.body, plan.content_type = b"", "text/plain"
        self.assertNotIn("Content-Type", plan.build().headers)

    def test_one_plan_many_requests(self) -> None:
        """Each build is a request of its own: changing one changes neither the plan nor the next (row:F8)."""
        plan = self.plan()
        first = plan.build()
        first.headers.insert(0, "Via", "SIP/2.0/TLS a.example;branch=z9hG4bKx")
        first.headers.set("To", "<sip:evil@evil.example>")
        plan.cseq += 1
        second = plan.build()
        self.assertEqual((second.headers["To"], second.headers["CSeq"]), ("<sip:bob@b.example>", "2 MESSAGE"))
        self.assertNotIn("Via", second.headers)

    def test_prepared(self) -> None:
        """What was looked at before is what is built, once, and not where CSeq or Contact are others by then."""
        plan = self.plan()
        prepared = plan.prepare()
        self.assertIs(plan.prepare(), prepared)
        self.assertIs(plan.build(), prepared)
        second = plan.build()
        self.assertIsNot(second, prepared)
        self.assertEqual(second, prepared)
        plan.prepare()
        plan.contact = "<sip:token@a.example>"
        self.assertEqual(plan.build().headers["Contact"], plan.contact)
        plan.prepare()
        plan.cseq += 1
        self.assertEqual(plan.prepare().headers["CSeq"], "2 MESSAGE")
        self.assertEqual(plan.build().headers["CSeq"], "2 MESSAGE")

    def test_no_part_breaks_out(self) -> None:
        """CR, LF or NUL in any part is a ValueError before anything is on the wire (fault:B1)."""
        for name in ("method", "uri", "to", "from_", "from_tag", "call_id", "contact", "content_type"):
            for evil in ("x\r\nEvil: 1", "x\ny", "x\0"):
                plan = self.plan()
                plan.body, plan.content_type = b"hi", "text/plain"
                setattr(plan, name, evil)
                with self.assertRaises(ValueError, msg=f"{name}: {evil!r}"):
                    plan.build().serialise()
        plan = self.plan()
        plan.routes = ["<sip:p;lr>\r\nEvil: 1"]
        with self.assertRaises(ValueError):
            plan.build()

    def test_contact_after_a_look(self) -> None:
        """Whether it was looked at before its Contact was known makes no difference to what is built."""
        for routes in ([], ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]):
            built = []
            for looked in (False, True):
                plan = RequestPlan("INVITE", "sip:bob@b.example", "<sip:a@a.example>", "t", "c")
                plan.routes = routes
                plan.fields = [("Supported", "timer")]
                if looked:
                    plan.prepare()
                plan.contact = "<sip:a@192.0.2.1>"
                built.append(plan.build())
            self.assertEqual(list(built[0].headers), list(built[1].headers))
            self.assertEqual(built[1].headers["Contact"], "<sip:a@192.0.2.1>")


class EchoTests(SynchronousTestCase):
    """RFC 3261 section 8.2.6.2."""

    def echo(self, **options: object) -> tuple[Request, Echo]:
        """A request and what its responses copy."""
        request = parse_message(message(**options))  # type: ignore[arg-type]
        assert isinstance(request, Request)
        echo = Echo(request.headers, request.to.tag is not None)
        echo.to_tag = "ours"
        return request, echo

    def test_what_is_copied(self) -> None:
        """A response has Via, From, Call-ID and CSeq as they came and To with our tag, and nothing else."""
        request, echo = self.echo(extra="\r\nSubject: x\r\nRoute: <sip:p;lr>\r\nContact: <sip:p>")
        response = echo.response(200)
        self.assertEqual((response.status, response.reason, response.body), (200, "OK", b""))
        for name in ("Via", "From", "Call-ID", "CSeq"):
            self.assertEqual(response.headers.get_all(name), request.headers.get_all(name))
        self.assertEqual(response.headers["To"], f"{request.headers['To']};tag=ours")
        self.assertEqual(len(response.headers), 5)

    def test_all_vias_in_order(self) -> None:
        """Every Via is copied, in order, as it was written."""
        request, echo = self.echo(extra="\r\nVia: SIP/2.0/TCP  two , SIP/2.0/UDP three\r\nv: SIP/2.0/TLS four")
        self.assertEqual(echo.response(486).headers.get_all("Via"), request.headers.get_all("Via"))
        self.assertEqual(len(request.headers.get_all("Via")), 3)

    def test_the_tag(self) -> None:
        """All responses but 100 carry one tag; a To that has a tag keeps it (sections 8.2.6.1 and 8.2.6.2)."""
        _, echo = self.echo()
        self.assertNotIn("tag", echo.response(100).headers["To"])
        self.assertEqual(echo.response(180).headers["To"], echo.response(500).headers["To"])
        _, echo = self.echo(replace={"To": "<sip:user@example.com>;tag=theirs"})
        self.assertEqual(echo.response(200).headers["To"], "<sip:user@example.com>;tag=theirs")

    def test_reason(self) -> None:
        """The reason phrase is the usual one for the status, or the one that was given, or empty."""
        _, echo = self.echo()
        self.assertEqual(
            [echo.response(486).reason, echo.response(486, "Night").reason, echo.response(486, "").reason],
            ["Busy Here", "Night", ""],
        )

    def test_responses_are_independent(self) -> None:
        """Neither changing the request nor changing a response changes the next response (fault:K10)."""
        request, echo = self.echo()
        expected = list(echo.response(200).headers)
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            request.headers.set(name, "changed")
            echo.response(200).headers.set(name, "changed")
        echo.response(200).headers.remove("Via")
        self.assertEqual(list(echo.response(200).headers), expected)

    def test_of_broken_requests(self) -> None:
        """What can be copied of a broken request is, a repeated field once, and the response can be read (fault:A1,
        fault:A2)."""
        via = ("Via", "SIP/2.0/TLS peer.example;branch=z9hG4bKx")
        fields = [via, ("To", "<sip:a@b>"), ("To", "<sip:c@d>"), ("CSeq", "nonsense")]
        echo = Echo(Headers(fields), False)
        echo.to_tag = "ours"
        response = echo.response(400)
        self.assertEqual(list(response.headers), [via, ("To", "<sip:a@b>;tag=ours"), ("CSeq", "nonsense")])
        self.assertIsInstance(parse_message(response.serialise()), Response)
