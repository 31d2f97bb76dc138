"""What packages share that have one document per resource."""

from __future__ import annotations

from typing import Any

from sip_p2p import PresencePackage, RequestFailed
from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.subscription.package import Verdict
from sip_p2p.endpoint.subscription.packages.resources import ResourcePackage
from tests.endpoint.subscription.packages.watching import WatchingTestCase

ALICE = "sip:alice@a.example"


class Weather:
    """A document of the test's own."""

    media_type = "text/plain"

    def __init__(self, text: str) -> None:
        self.text = text
        self.written = 0

    def to_bytes(self) -> bytes:
        """Its octets."""
        self.written += 1
        return self.text.encode()


class WeatherPackage(ResourcePackage[Weather]):
    """A package of the test's own."""

    name = "x-weather"
    content_types = ("text/plain",)


class ResourceTests(WatchingTestCase):
    """Documents of resources."""

    def test_one_document_for_all(self) -> None:
        """A document is written once, however many are told of it, and only its own subscribers are."""
        package = WeatherPackage()
        self.alice.packages.add(package)
        sun = Weather("sun")
        package.set(ALICE, sun)
        seen = [self.watch("x-weather", who=who) for who in (self.bob, self.network.party("sip:carol@c.example"))]
        rain = Weather("rain")
        package.set(ALICE, rain)
        package.set("sip:other@a.example", Weather("snow"))
        self.network.advance(1)
        self.assertEqual([[each.body for each in some] for some in seen], [[b"sun", b"rain"]] * 2)
        self.assertEqual((sun.written, rain.written), (1, 1))

    def test_no_document(self) -> None:
        """What is no document is refused where it is said, and not when somebody is to be told."""
        package = PresencePackage()
        self.assertRaises(TypeError, package.set, ALICE, "at lunch")
        self.assertIsNone(package.get(ALICE))

    def test_names(self) -> None:
        """A resource is the same with a port, with parameters and as an address."""
        package = WeatherPackage()
        sun = Weather("sun")
        package.set("sip:alice@A.EXAMPLE:5061;transport=tls", sun)
        self.assertIs(package.get(ALICE), sun)
        package.remove(ALICE)
        package.remove(ALICE)
        self.assertIsNone(package.get(ALICE))

    def test_unknown(self) -> None:
        """Of what nobody says anything a NOTIFY has no body, and nothing is remembered."""
        package = WeatherPackage()
        self.alice.packages.add(package)
        seen = self.watch("x-weather")
        self.assertEqual([each.body for each in seen], [b""])

    def test_who_may_watch(self) -> None:
        """Whoever is given says who may know; without one it is whoever has proved the address in From (row:J9)."""
        verdicts: list[Any] = [False, Verdict.reject(603), True]
        package = PresencePackage(may_watch=lambda request: verdicts.pop(0))
        self.alice.packages.add(package)
        package.set(ALICE, Presence.of(ALICE))
        for status in (403, 603):
            failing = self.bob.subscribe(ALICE, "presence", retry="never")
            self.network.advance(1)
            self.assertEqual(self.failureResultOf(failing, RequestFailed).value.status, status)
        self.assertEqual(len(self.watch("presence")), 1)

    def test_not_published(self) -> None:
        """A package that reads nothing cannot be published."""
        self.assertRaises(TypeError, WeatherPackage().parse, "text/plain", b"sun")
