"""Publications between two parties on one clock: Bob keeps, by hand, what Alice publishes."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from sip_p2p import (
    ConnectionFailure,
    EndpointTerminated,
    IncomingRequest,
    InvalidOperation,
    PublicationState,
    RequestFailed,
    RestrictedHeader,
)
from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.publication.publication import Publication, content_of
from sip_p2p.transport.target import Target
from tests.endpoint.support import PartyTestCase, keep
from tests.support import nothing_left


class PublicationTestCase(PartyTestCase):
    """Bob answers PUBLISH as he is told."""

    def setUp(self) -> None:
        """Bob says 200 with a new entity-tag each time, unless there is something else to say."""
        super().setUp()
        self.seen: list[IncomingRequest] = []
        self.answers: list[tuple[int, tuple[tuple[str, str], ...]]] = []
        self.bob.handle("PUBLISH", self.received)

    def received(self, incoming: IncomingRequest) -> None:
        """A PUBLISH came."""
        self.seen.append(incoming)
        status, fields = self.answers.pop(0) if self.answers else (200, ())
        if status == 200:
            fields = (("SIP-ETag", f"t{len(self.seen)}"), ("Expires", incoming.request.headers["Expires"]), *fields)
        incoming.respond(status, headers=fields)

    def publish(self, body: str = "open", **arguments: int) -> Publication:
        """Alice publishes at Bob's."""
        publishing = self.alice.publish("presence", body, "text/plain", target="sip:alice@b.example", **arguments)
        publication = self.run_until(publishing)
        assert isinstance(publication, Publication)
        return publication

    def kinds(self) -> list[tuple[str, bytes, str | None]]:
        """Expires, body and SIP-If-Match of each PUBLISH that came."""
        return [
            (each.request.headers["Expires"], each.body, each.request.headers.get("SIP-If-Match")) for each in self.seen
        ]


class LifeTests(PublicationTestCase):
    """From the first PUBLISH to the last."""

    def test_whole_life(self) -> None:
        """It is made, changed, refreshed and removed, each by the entity-tag of the last 2xx (RFC 3903 section 4)
        (row:J11)."""
        publication = self.publish(expires=600)
        self.assertEqual((publication.state, publication.etag), (PublicationState.STANDS, "t1"))
        self.assertTrue(590 < publication.expires <= 600)
        self.assertIs(self.run_until(publication.modify("closed", "text/plain")), publication)
        self.assertIs(self.run_until(publication.refresh()), publication)
        self.assertIsNone(self.run_until(publication.remove()))
        self.assertEqual(
            self.kinds(), [("600", b"open", None), ("600", b"closed", "t1"), ("600", b"", "t2"), ("0", b"", "t3")]
        )
        self.assertEqual({each.request.headers["Event"] for each in self.seen}, {"presence"})
        self.assertTrue(publication.is_over)
        self.assertEqual(publication.expires, 0)
        self.assertIsNone(self.run_until(publication.remove()))
        self.assertRaises(InvalidOperation, publication.refresh)
        self.assertRaises(InvalidOperation, publication.modify, "x", "text/plain")
        self.assertEqual(self.alice.connection_manager.lives.counts()["publications"], 0)

    def test_own_domain(self) -> None:
        """By default it is our own state, and a document knows its media type."""
        document = Presence.of("sip:alice@a.example")
        self.alice.handle("PUBLISH", self.received)
        self.run_until(self.alice.publish("presence", document))
        [incoming] = self.seen
        self.assertEqual(str(incoming.request.uri), "sip:alice@a.example")
        self.assertEqual(Presence.parse(incoming.body), document)
        self.assertEqual(str(incoming.content_type), "application/pidf+xml")

    def test_another_way(self) -> None:
        """All its PUBLISHes go where the application says, by addresses of the family that it wants (row:E22,
        row:E23)."""
        publishing = self.alice.publish(
            "presence",
            "open",
            "text/plain",
            target="sip:alice@nowhere.example",
            via=Target("tls", "b.example"),
            family="v4",
        )
        publication: Any = self.run_until(publishing)
        self.run_until(publication.refresh())
        self.run_until(publication.remove())
        self.assertEqual([str(each.request.uri) for each in self.seen], ["sip:alice@nowhere.example"] * 3)
        self.assertRaises(ValueError, self.alice.publish, "presence", "x", "text/plain", family="v5")
        self.assertEqual(self.alice.connection_manager.lives.counts()["publications"], 0)

    def test_another_name(self) -> None:
        """It speaks in another name where it may, and nowhere else (row:A16)."""
        self.assertRaises(
            InvalidOperation, self.alice.publish, "presence", "x", "text/plain", from_="sip:dave@a.example"
        )
        dave = self.network.party("sip:desk@a.example", may_impersonate=lambda uri: uri.user == "dave")
        publication: Any = self.run_until(
            dave.publish("presence", "x", "text/plain", target="sip:dave@b.example", from_="sip:dave@a.example")
        )
        self.run_until(publication.refresh())
        self.assertEqual({str(each.from_.uri) for each in self.seen}, {"sip:dave@a.example"})

    def test_refreshed(self) -> None:
        """It is refreshed in time for as long as it lives, and made anew where it was forgotten (row:J11)."""
        publication = self.publish(expires=600)
        self.network.advance(301)
        self.assertEqual(self.kinds()[1:], [("600", b"", "t1")])
        self.answers = [(412, ())]
        self.network.advance(301)
        self.assertEqual(self.kinds()[2:], [("600", b"", "t2"), ("600", b"open", None)])
        self.assertEqual((publication.etag, publication.error), ("t4", None))

    def test_newest(self) -> None:
        """Of several changes while a PUBLISH is under way the last goes out, and whoever made one hears when it did."""
        publishing = self.alice.publish("presence", "1", "text/plain", target="sip:alice@b.example")
        publication = self.run_until(publishing)
        waiting = [publication.modify(body, "text/plain") for body in ("2", "3", "4")]
        for each in waiting:
            self.assertIs(self.run_until(each), publication)
        self.assertEqual([body for _, body, _ in self.kinds()], [b"1", b"2", b"4"])


class InTurnTests(PublicationTestCase):
    """Several publications of one resource: a PUBLISH waits for the end of the one before (RFC 3903 section 4)."""

    def begin(self, *events: str, user: str = "alice") -> list[Deferred[Publication]]:
        """Publications at once of what Alice is, for each of *events*."""
        target = f"sip:{user}@b.example"
        return [self.alice.publish(each, each, "text/plain", target=target) for each in events]

    def arrived(self) -> list[bytes]:
        """What has come."""
        self.network.advance(1)
        return [each.body for each in self.held]

    def setUp(self) -> None:
        """Bob answers nothing by himself."""
        super().setUp()
        self.held: list[IncomingRequest] = []
        self.bob.handle("PUBLISH", keep(self.held))

    def test_in_turn(self) -> None:
        """Only one to a resource is under way, and those to another one do not wait for it (row:J11)."""
        waiting = self.begin("x-1", "x-2", "x-3")
        others = self.begin("x-4", user="carol")
        self.assertEqual(self.arrived(), [b"x-1", b"x-4"])
        self.assertEqual(self.alice.connection_manager.inventory()["errands"], 4)
        self.held[0].respond(200, headers=[("SIP-ETag", "a"), ("Expires", "60")])
        self.assertEqual(self.arrived()[2:], [b"x-2"])
        self.successResultOf(waiting[0])
        self.held[2].respond(489)
        self.assertEqual(self.arrived()[3:], [b"x-3"])
        self.failureResultOf(waiting[1], RequestFailed)
        for index in (1, 3):
            self.held[index].respond(403)
        self.network.advance(1)
        for failing in (*others, waiting[2]):
            self.failureResultOf(failing, RequestFailed)
        self.assertEqual(self.alice.connection_manager.inventory()["errands"], 0)

    def test_no_response(self) -> None:
        """One that is never answered holds up the next for no longer than it lives itself."""
        first, second = self.begin("x-1", "x-2")
        self.assertEqual(self.arrived(), [b"x-1"])
        self.held.clear()
        self.network.advance(40)
        self.assertEqual(self.arrived(), [b"x-2"])
        self.failureResultOf(first)
        self.held[0].respond(403)
        self.network.advance(1)
        self.failureResultOf(second, RequestFailed)

    def test_no_way(self) -> None:
        """Where there is no way all of them fail, however many wait for the first."""
        target = "sip:bob@192.0.2.77;transport=tls"
        waiting = [self.alice.publish("x", "x", "text/plain", target=target) for _ in range(400)]
        self.network.advance(200)
        for each in waiting:
            self.failureResultOf(each, ConnectionFailure)
        self.assertEqual(self.alice.connection_manager.inventory()["errands"], 0)

    def test_party_ends(self) -> None:
        """With the party those end that wait."""
        waiting = self.begin("x-1", "x-2", "x-3")
        self.assertEqual(self.arrived(), [b"x-1"])
        self.run_until(self.alice.terminate())
        for each in waiting:
            self.failureResultOf(each)
        self.assertEqual(len(self.held), 1)
        self.held[0].respond(200)
        self.network.advance(1)
        self.assertEqual(self.alice.connection_manager.inventory()["errands"], 0)


class FailureTests(PublicationTestCase):
    """What can go wrong."""

    def test_refused(self) -> None:
        """A first PUBLISH that is refused is the end of it."""
        self.answers = [(489, ())]
        failing = self.alice.publish("presence", "x", "text/plain", target="sip:alice@b.example")
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(failing, RequestFailed).value.status, 489)
        self.assertEqual(self.alice.connection_manager.lives.counts()["publications"], 0)

    def test_unreachable(self) -> None:
        """So is one for which there is no way."""
        failing = self.alice.publish("presence", "x", "text/plain", target="sip:alice@none.example")
        self.network.advance(60)
        self.failureResultOf(failing, ConnectionFailure)

    def test_fails_later(self) -> None:
        """A refresh that fails is told, and tried again until it succeeds."""
        publication = self.publish(expires=600)
        states: list[PublicationState] = []
        publication.state_changed.subscribe(states.append)
        self.answers = [(500, ()), (503, (("Retry-After", "40"),))]
        self.network.advance(305)
        self.assertEqual(publication.state, PublicationState.WAITING)
        assert isinstance(publication.error, RequestFailed)
        self.network.advance(300)
        self.assertEqual((publication.state, publication.error), (PublicationState.STANDS, None))
        self.assertEqual(states[0], PublicationState.WAITING)
        self.assertEqual(states[-1], PublicationState.STANDS)

    def test_change_fails(self) -> None:
        """A change that fails is told to who made it, and tried again."""
        publication = self.publish()
        self.answers = [(500, ())]
        failing = publication.modify("closed", "text/plain")
        self.network.advance(1)
        self.failureResultOf(failing, RequestFailed)
        self.network.advance(35)
        self.assertEqual(self.kinds()[-1][1], b"closed")

    def test_ended_by_the_compositor(self) -> None:
        """What will never be otherwise ends it, and whoever waits is told."""
        publication = self.publish()
        self.answers = [(403, ())]
        failing = publication.refresh()
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(failing, RequestFailed).value.status, 403)
        self.assertEqual(publication.state, PublicationState.OVER)
        self.assertIn("OVER", repr(publication))

    def test_cancelled(self) -> None:
        """To cancel the first call takes it back; to cancel a later one does not."""
        publishing = self.alice.publish("presence", "x", "text/plain", target="sip:alice@b.example")
        publishing.cancel()
        self.failureResultOf(publishing, CancelledError)
        self.network.advance(5)
        self.assertEqual(self.kinds(), [("3600", b"x", None), ("0", b"", "t1")])
        publication = self.publish()
        changing = publication.modify("closed", "text/plain")
        changing.cancel()
        self.failureResultOf(changing, CancelledError)
        self.network.advance(5)
        self.assertEqual((publication.state, self.kinds()[-1][1]), (PublicationState.STANDS, b"closed"))

    def test_removed_meanwhile(self) -> None:
        """Whoever waits for a change of what is removed is told so."""
        publication = self.publish()
        first, second = publication.modify("1", "text/plain"), publication.modify("2", "text/plain")
        removing = publication.remove()
        self.run_until(removing)
        self.assertIs(self.successResultOf(first), publication)
        self.failureResultOf(second, InvalidOperation)

    def test_arguments(self) -> None:
        """What cannot be published is refused at once, and nothing is sent."""
        for body, content_type in (("", "text/plain"), ("x", None), ("x", "text")):
            self.assertRaises(ValueError, content_of, body, content_type)
        for arguments in ({"expires": 0}, {"expires": 2**31}, {"headers": [("X", "a\r\nb")]}):
            self.assertRaises(ValueError, self.alice.publish, "presence", "x", "text/plain", **arguments)
        self.assertRaises(RestrictedHeader, self.alice.publish, "presence", "x", "text/plain", headers=[("To", "x")])
        self.assertRaises(ValueError, self.alice.publish, "a b", "x", "text/plain")
        silent = self.network.party("sip:silent@c.example", outbound=False)
        self.assertRaises(InvalidOperation, silent.publish, "presence", "x", "text/plain")
        self.assertEqual(self.seen, [])


class EndTests(PublicationTestCase):
    """The end of the party."""

    def test_party_ends(self) -> None:
        """It is removed with its party."""
        self.publish()
        self.run_until(self.alice.terminate())
        self.assertEqual(self.kinds()[-1], ("0", b"", "t1"))
        self.failureResultOf(self.alice.publish("presence", "x", "text/plain"), EndpointTerminated)

    def test_no_time_left(self) -> None:
        """Where the compositor says nothing its party ends all the same, and so does it."""
        publication = self.publish()
        held: list[IncomingRequest] = []
        self.bob.handle("PUBLISH", keep(held))
        changing = publication.modify("closed", "text/plain")
        self.run_until(self.alice.terminate())
        self.failureResultOf(changing, EndpointTerminated)
        self.assertEqual(publication.state, PublicationState.OVER)
        for incoming in held:
            if not incoming.is_answered:
                incoming.respond(200)
        self.network.advance(1)

    def test_nothing_is_left(self) -> None:
        """One that is over is freed without the collector."""
        with nothing_left(self, Publication):
            publication = self.publish()
            self.run_until(publication.remove())
            self.network.advance(60)
            self.alice.connection_manager.core.appointments.next_deadline()
            del publication
