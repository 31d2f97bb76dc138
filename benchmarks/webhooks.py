"""Deliveries to a hook: how many a second, and what one costs, beside the HTTP client alone.

The hook is a process of its own: twisted.web, which answers each POST with 200 and nothing. ``alone`` POSTs the same
octets with the HTTP client alone; ``asked`` is what a MESSAGE costs: made into JSON, signed, POSTed, its answer read.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from benchmarks.report import table
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.settings.webhook_options import WebhookSettings
from sip_p2p.service.webhook.decision import parse_request_answer
from sip_p2p.service.webhook.deliverer import Deliverer
from sip_p2p.service.webhook.poster import Poster, make_agent

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

SECRET = "whsec_YSBzZWNyZXQgb2YgdGhlIGJlbmNobWFya3MsIG5vIG90aGVy\n"
DATA: dict[str, object] = {
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


class Hook(Resource):
    """Accepts everything."""

    isLeaf = True

    def render_POST(self, request: Request) -> bytes:
        """200 with nothing in it."""
        return b""


async def serve(reactor: Any) -> None:
    """Be the hook, until somebody ends this process."""
    port = reactor.listenTCP(0, Site(Hook()), interface="127.0.0.1")  # type: ignore[no-untyped-call]
    print(port.getHost().port, flush=True)
    await Deferred()


async def take(seconds: float, window: int, begin: Callable[[], Deferred[Any]]) -> tuple[float, float]:
    """Keep *window* deliveries in flight for so many *seconds*: how many a second, and the CPU seconds of each."""
    done = 0
    began, used = time.monotonic(), time.process_time()

    async def lane() -> None:
        nonlocal done
        while time.monotonic() - began < seconds:
            await begin()
            done += 1

    await gatherResults([Deferred.fromCoroutine(lane()) for _ in range(window)])
    return done / (time.monotonic() - began), (time.process_time() - used) / done


async def measure(reactor: Any, port: int, seconds: float) -> None:
    """Print the table."""
    url = f"http://127.0.0.1:{port}/"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "secret"
        secret.write_text(SECRET)
        for window in (1, 16, 64):
            agent: Any = make_agent(reactor, None, window, 5.0)
            poster = Poster(agent, url)
            alone = await take(seconds, window, lambda poster=poster: poster.post(b"x" * 600, {}))  # type: ignore[misc]
            await agent.close()
            settings = WebhookSettings(
                url, url, "127.0.0.1", port, False, False, str(secret), events=frozenset(), concurrency=window
            )
            deliverer = Deliverer(reactor, Happenings(), settings)
            asked = await take(
                seconds,
                window,
                lambda deliverer=deliverer: deliverer.ask("message", DATA, parse_request_answer),  # type: ignore[misc]
            )
            ending = deliverer.ended()
            if ending is not None:
                await ending
            rows.append(
                [str(window), *(f"{value:.0f}" for value in (alone[0], asked[0], alone[1] * 1e6, asked[1] * 1e6))]
            )
    columns = ("in flight", "alone/s", "asked/s", "alone us", "asked us")
    print(table("Deliveries to a hook, http on loopback", columns, rows, "CPU of our side only."))


def main() -> None:
    """Start the hook, and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each figure is measured")
    parser.add_argument("--hook", action="store_true", help="be the hook, which the others talk to")
    options = parser.parse_args()
    if options.hook:
        react(serve)
    with subprocess.Popen([sys.executable, "-m", __spec__.name, "--hook"], stdout=subprocess.PIPE) as hook:
        assert hook.stdout is not None
        try:
            react(measure, (int(hook.stdout.readline()), options.seconds))
        finally:
            hook.kill()


if __name__ == "__main__":
    main()
