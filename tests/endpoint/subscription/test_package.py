"""Tests of :mod:`sip_p2p.endpoint.subscription.package`: what a package is by itself."""

from __future__ import annotations

from typing import Any

from sip_p2p import EventPackage
from sip_p2p.endpoint.subscription.package import Verdict, check_media_type, resource_name
from sip_p2p.sip.uri import parse_uri
from tests.endpoint.subscription.serving import Board, OpenBoard, SubscriberTestCase
from tests.sip.event.notifying import subscribe
from tests.support import SynchronousTestCase


class PackageTests(SynchronousTestCase):
    """Values."""

    def test_resource_names(self) -> None:
        """A resource goes by its address, whatever else a URI says."""
        for address, name in (
            ("sip:bob@B.example:5061;transport=tls", "sip:bob@b.example"),
            ("sips:bob@b.example", "sip:bob@b.example"),
            (parse_uri("sip:b.example"), "sip:b.example"),
            ("tel:+15550100", "tel:+15550100"),
            ("room 7", "room 7"),
        ):
            self.assertEqual(resource_name(address), name)
            self.assertEqual(resource_name(resource_name(address)), name)

    def test_acceptable(self) -> None:
        """4.1.2.1: without Accept it is the usual type; else those that both know, in our order; none where there is
        none."""
        board = Board()
        for accept, types in (
            (None, ("text/plain",)),
            ("*/*", ("text/plain", "application/x-board")),
            ("application/*", ("application/x-board",)),
            ("application/x-board, text/plain;q=0", ("application/x-board",)),
            ("application/sdp", ()),
            ("", ()),
        ):
            fields = () if accept is None else (("Accept", accept),)
            self.assertEqual(board.acceptable(subscribe(fields=fields)), types, accept)

    def test_terms(self) -> None:
        """What a package says of time is checked once, and shared by all its subscriptions."""
        board = Board()
        self.assertIs(board.terms, board.terms)
        self.assertEqual((board.terms.minimum, board.terms.default), (10, 3600))

    def test_bare(self) -> None:
        """A package that says nothing has no state, nobody who knows it, and nothing to tell."""
        bare: Any = EventPackage()
        self.assertIsNone(bare.state(None))
        self.assertEqual((bare.subscribers, bare.subscribers_of("sip:bob@b.example")), ((), ()))
        bare.changed()
        bare.subscribed(None, None)
        bare.refreshed(None, None)
        bare.ended(None, "")
        self.assertEqual(repr(Board()), "<Board x-board>")

    def test_words(self) -> None:
        """A media type that is none is refused in words; verdicts are shared."""
        self.assertRaises(ValueError, check_media_type, "text")
        self.assertIs(Verdict.accept(), Verdict.accept())
        self.assertIs(Verdict.pending(), Verdict.pending())


class ResourceTests(SubscriberTestCase):
    """Several resources of one package."""

    def test_changes_of_one(self) -> None:
        """Of a change of one resource those are told who subscribed to it."""
        rooms = type("Rooms", (OpenBoard,), {"name": "x-rooms"})()
        rooms.resource_of = lambda request: request.request.headers.get("Subject") or ""
        self.bob.packages.add(rooms)
        for room in ("kitchen", "cellar"):
            self.subscribe("x-rooms", call=room, fields=f"Subject: {room}\r\n")
        self.answer()
        self.assertEqual([each.resource for each in rooms.subscribers], ["kitchen", "cellar"])
        rooms.changed("cellar")
        [notify] = self.answer()
        self.assertEqual(notify.call_id, "cellar")
        self.assertEqual(len(rooms.subscribers_of("kitchen")), 1)
        rooms.changed("attic")
        self.assertEqual(self.answer(), [])

    def test_own_contact(self) -> None:
        """Who subscribes at our Contact has subscribed to its party."""
        self.subscribe()
        [notify] = self.answer()
        contact = str(notify.headers.get("Contact")).partition(">")[0].lstrip("<")
        self.network.advance(0.1)
        self.line.send(
            f"SUBSCRIBE {contact} SIP/2.0\r\nVia: SIP/2.0/TCP peer.example;rport;branch=z9hG4bKcontact\r\n"
            "Max-Forwards: 70\r\nFrom: <sip:x@peer.example>;tag=1\r\nTo: <sip:anybody@b.example>\r\nCall-ID: own\r\n"
            f"CSeq: 1 SUBSCRIBE\r\nContact: <sip:x@{self.stranger.addresses[0]};transport=tcp>\r\nEvent: x-board\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        self.answer()
        self.assertEqual({each.resource for each in self.board.subscribers}, {"sip:bob@b.example"})
