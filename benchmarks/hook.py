"""A hook that accepts everything: twisted.web in a process of its own, over HTTP and over HTTPS as ``localhost``."""

from __future__ import annotations

import argparse
import json
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.stdio import StandardIO
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from benchmarks.lifeline import Lifeline

__all__ = ["Hook", "main"]


class Hook(Resource):
    """Accepts everything."""

    isLeaf = True

    def render_POST(self, request: Request) -> bytes:
        """200 with nothing in it."""
        return b""


def main() -> None:
    """Listen on free ports, print them as JSON, and serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hook", description=__doc__)
    parser.add_argument("--certificate", required=True, help="PEM file with certificate and key")
    options = parser.parse_args()
    with open(options.certificate, "rb") as file:
        certificate = ssl.PrivateCertificate.loadPEM(file.read())
    loop: Any = reactor
    site = Site(Hook())  # type: ignore[no-untyped-call]
    ports = {
        "http": loop.listenTCP(0, site, interface="127.0.0.1"),
        "https": loop.listenSSL(0, site, certificate.options(), interface="127.0.0.1"),
    }
    StandardIO(Lifeline())
    print(json.dumps({name: port.getHost().port for name, port in ports.items()}), flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
