"""HTTP requests without what treq adds to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface import implementer

from sip_p2p.transport.bare_agent import BareAgent, is_compressed
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from twisted.web.iweb import IBodyProducer, IResponse


class Answer:
    """What of an answer is looked at."""

    def __init__(self, headers: dict[str, list[str]]) -> None:
        self.headers = Headers(headers)


@implementer(IAgent)
class Asked:
    """Remembers what it is asked, and answers the same each time."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.uri = b""
        self.headers = Headers()

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """Answer at once."""
        self.uri = uri
        self.headers = headers or Headers()
        return succeed(cast("IResponse", self.answer))


class BareAgentTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.bare_agent.BareAgent`."""

    def ask(self, said: dict[str, list[str]], url: str | None = None, **headers: list[str]) -> tuple[Asked, Any]:
        """One request with *headers*, to be answered with the fields *said*."""
        asked = Asked(Answer(said))
        agent = BareAgent(cast("IAgent", asked), url)
        answer = self.successResultOf(agent.request(b"GET", b"https://a.example/", Headers(dict(headers))))
        return asked, answer

    def test_asked(self) -> None:
        """No cookie goes out and no compression is asked for; another URL stands in for what treq can read (RFC 9110
        section 12.5.3)."""
        asked, _ = self.ask({}, cookie=["a=b"], accept=["text/plain"])
        self.assertEqual(asked.uri, b"https://a.example/")
        self.assertEqual(asked.headers.getRawHeaders("accept-encoding"), ["identity"])
        self.assertFalse(asked.headers.hasHeader("cookie"))
        self.assertTrue(asked.headers.hasHeader("accept"))
        asked, _ = self.ask({}, "http://[::1]:80/")
        self.assertEqual(asked.uri, b"http://[::1]:80/")

    def test_answered(self) -> None:
        """No cookie comes in, and what is compressed is said to be so without being unpacked (RFC 9110 section 8.4)."""
        _, answer = self.ask({"set-cookie": ["a=b"], "content-encoding": ["identity"], "x-compressed": ["yes"]})
        self.assertFalse(answer.headers.hasHeader("set-cookie"))
        self.assertFalse(is_compressed(answer))
        _, answer = self.ask({"content-encoding": ["gzip"]})
        self.assertTrue(is_compressed(answer))
        self.assertFalse(answer.headers.hasHeader("content-encoding"))
