"""Deliveries to a hook, in turns that are told by standard input: the HTTP client alone, or all that a delivery is.

``alone`` POSTs some octets with the HTTP client; the other makes a MESSAGE into JSON, signs it, POSTs it and reads the
answer, as a service does.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor

from benchmarks.turns import Command, TurnOfOperations, serve_turns
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.settings.webhook_options import WebhookSettings
from sip_p2p.service.webhook.decision import parse_request_answer
from sip_p2p.service.webhook.deliverer import Deliverer
from sip_p2p.service.webhook.poster import Poster, make_agent
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.https import HttpsPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

__all__ = ["MOST", "SECRET", "main"]

MOST = 64
"""How many deliveries may be in flight."""

SECRET = "whsec_YSBzZWNyZXQgb2YgdGhlIGJlbmNobWFya3MsIG5vIG90aGVy\n"
"""What signs them."""

_BODY = b"x" * 600
_DATA: dict[str, object] = {
    "method": "MESSAGE",
    "peer": "a.example",
    "identities": ["a.example"],
    "transport": "TLS",
    "address": "192.0.2.1:5061",
    "from": "<sip:alice@a.example>;tag=1",
    "to": "<sip:bob@b.example>",
    "call_id": "0123456789abcdef",
    "text": "hello " * 20,
    "headers": [["Via", "SIP/2.0/TLS a.example:5061;branch=z9hG4bK0123456789abcdef"], ["Max-Forwards", "70"]],
}


def _operation(url: str, port: int, secret: str, trust: str, alone: bool) -> Callable[[], Deferred[Any]]:
    loop: Any = reactor
    is_secure = url.startswith("https:")
    if alone:
        policy = HttpsPolicy(TrustAnchors.from_files(trust)) if is_secure else None
        poster = Poster(make_agent(loop, policy, MOST, 5.0), url)
        return lambda: poster.post(_BODY, {})
    settings = WebhookSettings(
        url, url, "localhost", port, is_secure, False, secret, trust if is_secure else None,
        events=frozenset(), concurrency=MOST,
    )  # fmt: skip
    deliverer = Deliverer(loop, Happenings(), settings)
    return lambda: deliverer.ask("message", _DATA, parse_request_answer)


def main() -> None:
    """Deliver for as long as standard input is open."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deliveries", description=__doc__)
    parser.add_argument("scheme", choices=("http", "https"))
    parser.add_argument("port", type=int)
    parser.add_argument("--alone", action="store_true", help="the HTTP client alone")
    parser.add_argument("--secret", required=True, help="file with the secret that signs")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    options = parser.parse_args()
    url = f"{options.scheme}://localhost:{options.port}/"
    operation = _operation(url, options.port, str(Path(options.secret)), options.trust, options.alone)

    def turn_of(command: Command) -> TurnOfOperations:
        return TurnOfOperations(operation, command)

    serve_turns(turn_of)
    reactor.run()


if __name__ == "__main__":
    main()
