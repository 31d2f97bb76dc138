"""The event state compositor: what is kept, for whom, for how long, and who hears of it (RFC 3903 section 6)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import (
    DigestAuthenticator,
    EventStateCompositor,
    IncomingRequest,
    Limits,
    MessageSummaryPackage,
    PresencePackage,
    Publication,
    RequestFailed,
    Response,
    SipPeerToPeerEndpoint,
)
from sip_p2p.documents.pidf import NAMESPACE, Presence
from sip_p2p.endpoint.subscription.package import Verdict
from tests.endpoint.support import PartyTestCase

ALICE = "sip:alice@a.example"
PIDF = "application/pidf+xml"


class CompositorTestCase(PartyTestCase):
    """Bob keeps what Alice publishes.

    :cvar limits: Bob's.
    """

    limits: Limits | None = None

    def setUp(self) -> None:
        """Bob takes requests for whomever, as a server does."""
        super().setUp()
        self.server = self.network.party(
            "sip:server@s.example", catch_all=True, manager=None if self.limits is None else {"limits": self.limits}
        )
        self.presence = PresencePackage(may_watch=lambda request: True)
        self.compositor = EventStateCompositor(self.server, [self.presence], may_publish=self.may_publish)
        self.verdict: Any = True

    def may_publish(self, incoming: IncomingRequest, resource: str) -> Any:
        """What the test says."""
        return self.verdict

    def say(self, **fields: Any) -> Response:
        """A PUBLISH of Alice's; what it is answered with."""
        headers = [("Event", fields.pop("event", "presence"))]
        for name, field in (("expires", "Expires"), ("etag", "SIP-If-Match")):
            if (value := fields.pop(name, None)) is not None:
                headers.append((field, str(value)))
        body = fields.pop("body", Presence.of(ALICE).to_bytes())
        who = fields.pop("who", self.alice)
        target = fields.pop("target", "sip:alice@s.example")
        content_type = fields.pop("content_type", PIDF) if body else None
        headers += fields.pop("more", [])
        asking = who.request(
            "PUBLISH", target, body=body, content_type=content_type, headers=headers, retry_after="never", **fields
        )
        try:
            response = self.run_until(asking)
        except RequestFailed as error:
            return error.response
        assert isinstance(response, Response)
        return response

    def kept(self, resource: str = "sip:alice@s.example") -> int:
        """How many publications there are of *resource*."""
        return len(self.compositor.publications(self.presence, resource))


class PublishTests(CompositorTestCase):
    """The steps of section 6."""

    def test_whole_life(self) -> None:
        """A state is made, refreshed, changed and removed, under another entity-tag each time (row:J11)."""
        first = self.say(expires=600)
        self.assertEqual((first.status, first.headers["Expires"]), (200, "600"))
        second = self.say(body=b"", etag=first.headers["SIP-ETag"])
        third = self.say(body=Presence.of(ALICE, False).to_bytes(), etag=second.headers["SIP-ETag"])
        tags = {each.headers["SIP-ETag"] for each in (first, second, third)}
        self.assertEqual(len(tags), 3)
        self.assertEqual(second.headers["Expires"], "3600")
        told = self.presence.get("sip:alice@s.example")
        assert told is not None
        self.assertFalse(told.is_open)
        gone = self.say(body=b"", etag=third.headers["SIP-ETag"], expires=0)
        self.assertEqual((gone.status, gone.headers["Expires"], self.kept()), (200, "0", 0))
        self.assertEqual((len(self.compositor), self.compositor.octets), (0, 0))
        self.assertIsNone(self.presence.get("sip:alice@s.example"))

    def test_refused(self) -> None:
        """What a PUBLISH must say is asked for in the order of the steps (row:J11)."""
        for status, fields in (
            (489, {"event": "weather"}),
            (400, {"more": [("Event", "presence")]}),
            (412, {"etag": "never-given"}),
            (400, {"etag": "a", "more": [("SIP-If-Match", "b")]}),
            (400, {"etag": "a, b"}),
            (423, {"expires": 30}),
            (400, {"expires": "soon"}),
            (400, {"body": b""}),
            (400, {"expires": 0, "body": b""}),
            (415, {"content_type": "text/plain"}),
            (400, {"body": b"<presence/>"}),
            (400, {"body": b'<!DOCTYPE a [<!ENTITY b "c">]><presence/>'}),
        ):
            response = self.say(**fields)
            self.assertEqual(response.status, status, fields)
            if status == 489:
                self.assertEqual(response.headers["Allow-Events"], "presence")
            elif status == 423:
                self.assertEqual(response.headers["Min-Expires"], "60")
            elif status == 415:
                self.assertEqual(response.headers["Accept"], PIDF)
        self.assertEqual(len(self.compositor), 0)

    def test_for_no_time(self) -> None:
        """What is published for no time at all is taken, and nothing of it is kept or told (section 6, steps 5 and 6)
        (row:J11)."""
        response = self.say(expires=0)
        self.assertEqual((response.status, response.headers["Expires"]), (200, "0"))
        self.assertEqual((len(self.compositor), self.presence.get("sip:alice@s.example")), (0, None))
        self.assertEqual(self.say(body=b"", etag=response.headers["SIP-ETag"]).status, 412)

    def test_old_tag(self) -> None:
        """An entity-tag is worth nothing once another one was given."""
        first = self.say().headers["SIP-ETag"]
        self.assertEqual(self.say(body=b"", etag=first).status, 200)
        self.assertEqual(self.say(body=b"", etag=first).status, 412)

    def test_tag_of_another(self) -> None:
        """An entity-tag is worth nothing to another party, for another resource or another event, and nobody learns
        that there is one."""
        self.server.packages.add(mwi := MessageSummaryPackage())
        other = EventStateCompositor(self.server, [self.presence, mwi], may_publish=self.may_publish)
        etag = self.say().headers["SIP-ETag"]
        for fields in ({"who": self.bob}, {"target": "sip:carol@s.example"}, {"event": "message-summary"}):
            self.assertEqual(self.say(body=b"", etag=etag, **fields).status, 412, fields)
        self.assertEqual(self.say(body=b"", etag=etag).status, 200)
        other.close()

    def test_tag_of_a_user(self) -> None:
        """Where passwords are asked for, an entity-tag is its user's, wherever it speaks from, and no other user's on
        the same connection (section 6, step 3) (row:J11)."""
        self.server.profile.authenticator = DigestAuthenticator("s.example", {"alice": "pw", "eve": "wp"}.get)
        here, there = self.network.party("sip:alice@d.example"), self.network.party("sip:alice@e.example")
        beside = SipPeerToPeerEndpoint("sip:eve@d.example", here.connection_manager)
        for party, name, password in ((here, "alice", "pw"), (there, "alice", "pw"), (beside, "eve", "wp")):
            party.credentials.add(realm="s.example", username=name, password=password, peer="s.example")
        etag = self.say(who=here).headers["SIP-ETag"]
        self.assertEqual(self.say(body=b"", etag=etag, who=beside).status, 412)
        refreshed = self.say(body=b"", etag=etag, who=there)
        self.assertEqual((refreshed.status, self.kept()), (200, 1))
        etag = refreshed.headers["SIP-ETag"]
        self.assertEqual(self.say(body=b"", etag=etag, expires=0, who=here).status, 200)

    def test_expires(self) -> None:
        """What is not refreshed in time is forgotten, and those who watch are told (section 3)."""
        self.say(expires=60)
        self.network.advance(40)
        self.say(expires=60)
        self.network.advance(30)
        self.assertEqual(self.kept(), 1)
        self.network.advance(40)
        self.assertEqual((self.kept(), len(self.compositor)), (0, 0))

    def test_longest(self) -> None:
        """Nobody is granted more than the package grants."""
        self.assertEqual(self.say(expires=2**31).headers["Expires"], "86400")


class WhoTests(CompositorTestCase):
    """Who may publish."""

    def test_verdicts(self) -> None:
        """Whoever was asked says who may; what is no yes is a no."""

        async def later() -> bool:
            return True

        for verdict, status in (
            (True, 200),
            (False, 403),
            (None, 403),
            (1, 403),
            (Verdict.accept(), 200),
            (Verdict.reject(603), 603),
            (Verdict.pending(), 403),
            (later(), 200),
        ):
            self.verdict = verdict
            self.assertEqual(self.say().status, status, verdict)

    def test_in_order(self) -> None:
        """What is published of one resource is processed in the order in which it came, whoever is decided about first;
        what is refused, fails, or that nobody waits for any more, holds up nothing (section 6) (row:J11)."""
        asked: list[Deferred[Any]] = []

        def later(incoming: IncomingRequest, resource: str) -> Any:
            asked.append(Deferred())
            return True if incoming.request.headers.get("X-Now") else asked[-1]

        self.compositor._may_publish = later
        ended: list[str] = []

        def publish(note: str, *headers: tuple[str, str], target: str = "sip:alice@s.example") -> None:
            publishing = self.alice.request(
                "PUBLISH",
                target,
                body=Presence.of(ALICE, note=note).to_bytes(),
                content_type=PIDF,
                headers=[("Event", "presence"), *headers],
                retry_after="never",
            )
            publishing.addBoth(lambda result: ended.append(note))
            self.network.advance(1)

        for note in ("1", "2", "3"):
            publish(note)
        publish("4", ("X-Now", "1"))
        publish("other", ("X-Now", "1"), target="sip:carol@s.example")
        asked[1].callback(True)
        asked[2].errback(ZeroDivisionError())
        self.network.advance(1)
        self.assertEqual((ended, self.kept()), (["other"], 0))
        asked[0].callback(True)
        self.network.advance(1)
        self.assertEqual(ended, ["other", "1", "2", "3", "4"])
        kept = self.compositor.publications(self.presence, "sip:alice@s.example")
        self.assertEqual([each.document.tuples[0].notes[0].text for each in kept], ["1", "2", "4"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        for note in ("5", "6"):
            publish(note)
        self.network.advance(300)
        self.assertEqual((ended[-2:], self.kept()), (["5", "6"], 3))
        publish("7", ("X-Now", "1"))
        self.assertEqual((self.kept(), self.compositor._waiting), (4, {}))

    def test_own_state_only(self) -> None:
        """By default one publishes nothing but the state of one's own proved address (row:J11)."""
        closed = EventStateCompositor(self.server, [self.presence])
        self.addCleanup(closed.close)
        self.assertEqual(self.say().status, 403)
        me = self.network.party("sip:me@s2.example", catch_all=True)
        mine = EventStateCompositor(me, [PresencePackage()])
        for target, status in (("sip:bob@s2.example", 403), ("sip:me@s2.example", 403)):
            self.assertEqual(self.say(target=target).status, status)
        self.assertEqual(len(mine), 0)
        self.assertEqual(self.say(who=me, target="sip:me@s2.example").status, 200)
        self.assertEqual(len(mine), 1)


class BoundTests(CompositorTestCase):
    """How much is kept."""

    limits = Limits(publications=3, publications_per_identity=2, publication_octets=4096)

    def hits(self, name: str) -> int:
        """How often a bound was reached."""
        return self.server.connection_manager.metrics()[f"limit_{name}"]

    def test_each(self) -> None:
        """One party has two, all have three; what is there can still be refreshed."""
        etag = self.say().headers["SIP-ETag"]
        self.say()
        refused = self.say()
        self.assertEqual(refused.status, 500)
        self.assertIn("Retry-After", refused.headers)
        self.assertEqual(self.hits("publications_per_identity"), 1)
        self.assertEqual(self.say(who=self.bob).status, 200)
        self.assertEqual(self.say(who=self.bob).status, 500)
        self.assertEqual(self.hits("publications"), 1)
        self.assertEqual(self.say(body=b"", etag=etag).status, 200)

    def test_octets(self) -> None:
        """How long they are altogether is bounded, also where one of them is changed."""
        body = Presence.of(ALICE, note="x" * 3000).to_bytes()
        etag = self.say(body=body).headers["SIP-ETag"]
        self.assertEqual(self.say(body=body).status, 500)
        self.assertEqual(self.hits("publication_octets"), 1)
        self.assertEqual(self.say(body=body, etag=etag).status, 200)
        self.assertEqual(self.compositor.octets, len(body))


class TogetherTests(CompositorTestCase):
    """Those who publish, the compositor, and those who watch."""

    def test_watchers_are_told(self) -> None:
        """Who has subscribed is told what is published, composed of all that is, until it is removed (row:J11,
        row:J12)."""
        watching = self.bob.subscribe("sip:alice@s.example", "presence")
        watcher = self.run_until(watching)
        seen: list[Any] = []
        watcher.notification_received.subscribe(seen.append)  # type: ignore[attr-defined]
        publications = []
        for note in ("desk", "pocket"):
            document = Presence.of("sip:alice@s.example", note=note)
            publication = self.run_until(self.alice.publish("presence", document, target="sip:alice@s.example"))
            assert isinstance(publication, Publication)
            publications.append(publication)
            self.network.advance(10)
        last = seen[-1].document
        self.assertEqual([note.text for part in last.tuples for note in part.notes], ["desk", "pocket"])
        self.assertEqual([part.id for part in last.tuples], ["t1", "t1-2"])
        for publication in publications:
            self.run_until(publication.remove())
        self.network.advance(10)
        self.assertEqual(seen[-1].body, b"")
        self.run_until(watcher.terminate())  # type: ignore[attr-defined]

    def test_example(self) -> None:
        """RFC 3903 section 15: the watcher hears of what is published and of what is changed, not of a refresh; each
        2xx has an entity-tag and the time that is granted, and nothing of a route (row:J11, row:J12)."""
        account = "sip:alice@s.example"
        self.presence.maximum_expires = 1800
        self.presence.default_expires = 1800
        self.presence._terms = None
        watcher: Any = self.run_until(self.bob.subscribe(account, "presence"))
        seen: list[Any] = []
        watcher.notification_received.subscribe(seen.append)
        self.network.advance(6)
        seen.clear()
        route = "<sip:proxy.example;lr>"
        answers = []
        for note, told in (("there", 1), ("", 1), ("away", 2)):
            answers.append(
                self.say(
                    body=Presence.of(account, note=note).to_bytes() if note else b"",
                    etag=answers[-1].headers["SIP-ETag"] if answers else None,
                    expires=3600,
                    unsafe_headers=True,
                    more=[("Record-Route", route), ("Contact", "<sip:nobody@192.0.2.1>")],
                )
            )
            self.network.advance(6)
            self.assertEqual(len(seen), told)
        self.assertEqual({(each.status, each.headers["Expires"]) for each in answers}, {(200, "1800")})
        self.assertEqual(len({each.headers["SIP-ETag"] for each in answers}), 3)
        self.assertFalse(any("Record-Route" in each.headers for each in answers))
        self.assertEqual(seen[-1].document.tuples[0].notes[0].text, "away")
        self.run_until(watcher.terminate())

    def test_probed(self) -> None:
        """RFC 3903 section 7: OPTIONS tells that PUBLISH is taken, and for which events (row:J11)."""
        response: Any = self.run_until(self.alice.request("OPTIONS", "sip:alice@s.example"))
        self.assertIn("PUBLISH", response.headers["Allow"])
        self.assertEqual(response.headers["Allow-Events"], "presence")

    def test_whose_state(self) -> None:
        """What is told is the state of the resource that it was published for, whatever entity the document names; what
        the application says of itself names whom it likes (row:J11)."""
        resource = "sip:alice@s.example"
        for entity in ("sip:mallory@m.example", "pres:alice@s.example", "sip:alice@192.0.2.1:5062;transport=tcp"):
            self.assertEqual(self.say(body=Presence.of(entity, note=entity).to_bytes()).status, 200)
            told = self.presence.get(resource)
            assert told is not None
            self.assertEqual(told.entity, resource)
        self.presence.set(resource, Presence.of("pres:alice@s.example"))
        told = self.presence.get(resource)
        assert told is not None
        self.assertEqual((told.entity, len(told.tuples)), ("pres:alice@s.example", 4))

    def test_what_is_not_understood(self) -> None:
        """An extension goes to the watchers as it stands, with the word that whoever handles it must understand it."""
        body = (
            b'<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:p="urn:ietf:params:xml:ns:pidf"'
            b' entity="sip:alice@s.example"><tuple id="t1"><status><basic>open</basic>'
            b'<mood xmlns="urn:example:mood" p:mustUnderstand="1">glad</mood></status></tuple></presence>'
        )
        self.assertEqual(self.say(body=body).status, 200)
        told = self.presence.get("sip:alice@s.example")
        assert told is not None
        [mood] = Presence.parse(told.to_bytes()).tuples[0].status_extensions
        self.assertEqual((mood.local_name, mood.get(f"{{{NAMESPACE}}}mustUnderstand")), ("mood", "1"))

    def test_restarted(self) -> None:
        """A compositor that has forgotten all is told again by itself."""
        publication = self.run_until(
            self.alice.publish(
                "presence", Presence.of("sip:alice@s.example"), target="sip:alice@s.example", expires=600
            )
        )
        assert isinstance(publication, Publication)
        self.compositor.close()
        self.compositor = EventStateCompositor(self.server, [self.presence], may_publish=self.may_publish)
        self.assertEqual(self.kept(), 0)
        self.network.advance(310)
        self.assertEqual(self.kept(), 1)
        self.run_until(publication.remove())

    def test_party_ends(self) -> None:
        """All is forgotten when the party ends."""
        self.say()
        self.run_until(self.server.terminate())
        self.assertEqual(len(self.compositor), 0)
        self.assertIn("0 publications", repr(self.compositor))
