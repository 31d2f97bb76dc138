"""What goes across, and what stays: header fields and outcomes as values."""

from __future__ import annotations

from sip_p2p.errors import (
    ConnectionFailure,
    EndpointTerminated,
    InvalidOperation,
    OfferRejected,
    OperationTimeout,
    PeerOverloaded,
    RequestFailed,
    SessionTerminated,
)
from sip_p2p.service.applications.passing import (
    LOOP_FIELD,
    MOST_PASSES,
    hops_left,
    outcome_of,
    passed,
    passed_on,
    refusal_of_loop,
)
from sip_p2p.sip.message import Request, Response
from tests.support import SynchronousTestCase


def request(*fields: tuple[str, str]) -> Request:
    """A MESSAGE with *fields*."""
    return Request("MESSAGE", "sip:desk@m.example", [("From", "<sip:alice@a.example>;tag=1"), *fields])


class FieldTests(SynchronousTestCase):
    """Header fields."""

    def test_what_stays(self) -> None:
        """row:G8: what speaks of the hop, the dialog, the user agent or its credentials stays; the rest goes on."""
        message = request(
            ("Via", "SIP/2.0/TLS a.example;branch=z9hG4bK1"),
            ("Authorization", "Digest x=y"),
            ("Supported", "path"),
            ("Replaces", "1;to-tag=2;from-tag=3"),
            ("User-Agent", "x"),
            ("Subject", "lunch"),
            ("X-Colour", "green"),
            ("Content-Disposition", "render"),
        )
        kept = [("Subject", "lunch"), ("X-Colour", "green")]
        self.assertEqual(passed(message), [*kept, ("Content-Disposition", "render")])
        self.assertEqual(passed(message, described=True), kept)

    def test_who_asks(self) -> None:
        """Who asked is named in Reply-To, unless it says that itself, wants to be anonymous, or cannot be read."""
        cases: list[tuple[Request, list[str]]] = [
            (request(), ["<sip:alice@a.example>"]),
            (request(("Reply-To", "<sip:x@a.example>")), ["<sip:x@a.example>"]),
            (request(("Privacy", "id")), []),
            (Request("MESSAGE", "sip:m", [("From", "<sip:anonymous@anonymous.invalid>;tag=1")]), []),
            (Request("MESSAGE", "sip:m", [("From", "<tel:+123>;tag=1")]), []),
            (Request("MESSAGE", "sip:m", [("From", "<")]), []),
        ]
        for message, expected in cases:
            with self.subTest(message.headers["From"]):
                found = [value for name, value in passed_on(message, "me") if name == "Reply-To"]
                self.assertEqual(found, expected)

    def test_loops(self) -> None:
        """row:G8: a request says who has passed it on, and is refused by these, and where there are many of them."""
        first = Request("MESSAGE", "sip:m", passed_on(request(), "one"))
        first.headers.add("From", "<sip:alice@a.example>;tag=1")
        fields = dict(passed_on(first, "two"))
        self.assertEqual(fields[LOOP_FIELD], "one, two")
        self.assertEqual([refusal_of_loop(first, token) for token in ("one", "two")], [482, 0])
        many = request((LOOP_FIELD, ", ".join(map(str, range(MOST_PASSES)))))
        self.assertEqual(refusal_of_loop(many, "me"), 483)

    def test_hops(self) -> None:
        """row:G8: the hops that are left are what Max-Forwards says, or 70."""
        left = [hops_left(request(*fields)) for fields in ((), (("Max-Forwards", "3"),), (("Max-Forwards", "999"),))]
        self.assertEqual(left, [70, 3, 70])
        self.assertEqual(refusal_of_loop(request(("Max-Forwards", "0")), "me"), 483)


class OutcomeTests(SynchronousTestCase):
    """What a request is answered whose copy has failed."""

    def test_failures(self) -> None:
        """Each failure has its status."""
        cases = (
            (OperationTimeout("x"), 504, 408),
            (ConnectionFailure("x"), 502, 502),
            (PeerOverloaded("x", 3.0), 500, 500),
            (OfferRejected("x"), 488, 488),
            (SessionTerminated("x", "NOT_ACCEPTABLE_MEDIA"), 488, 488),
            (SessionTerminated("x", "CANCELED"), 480, 480),
            (EndpointTerminated("x"), 480, 480),
            (InvalidOperation("x"), 500, 500),
            (RequestFailed(Response(486)), 486, 486),
            (RequestFailed(Response(401)), 403, 403),
            (RequestFailed(Response(503)), 500, 500),
        )
        for error, other, invite in cases:
            with self.subTest(error):
                self.assertEqual((outcome_of(error).status, outcome_of(error, is_invite=True).status), (other, invite))
        self.assertEqual(outcome_of(PeerOverloaded("x", 3.0)).headers, (("Retry-After", "3"),))

    def test_redirections(self) -> None:
        """A redirection says where it leads, each place by itself."""
        response = Response(302, "Over there", [("Contact", "<sip:a@x>;q=1, <sip:b@x>"), ("Warning", '399 a "b"')])
        outcome = outcome_of(RequestFailed(response))
        self.assertEqual(
            (outcome.status, outcome.reason, outcome.contacts, outcome.headers),
            (302, "Over there", ("<sip:a@x>;q=1", "<sip:b@x>"), (("Warning", '399 a "b"'),)),
        )
