"""Asks a party what it can do (OPTIONS), a few times over one connection, and measures how long the answers take.

Run it with::

    python examples/ping.py keys sip:bob@localhost:5062 3
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from twisted.internet.task import react

from sip_p2p import RealTimeServerTlsConnectionManager, RequestFailed, SipError, SipPeerToPeerEndpoint

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


async def main(reactor: IReactorTime, folder: str, target: str, times: str = "3") -> None:
    """Ping *target*; any answer counts, for somebody gave it."""
    manager = RealTimeServerTlsConnectionManager(
        reactor, certificate=f"{folder}/localhost.pem", trust=f"{folder}/ca.pem"
    )
    pinger = SipPeerToPeerEndpoint("sip:ping@localhost", manager)
    try:
        for _ in range(int(times)):
            began = time.monotonic()
            try:
                response = await pinger.request("OPTIONS", target, timeout=5)
            except RequestFailed as error:
                response = error.response
            took = (time.monotonic() - began) * 1000
            allowed = response.headers.get("Allow") or "does not say"
            print(f"{response.status} {response.reason} in {took:.1f} ms, allows: {allowed}")
    except SipError as error:
        raise SystemExit(f"no answer: {error}") from error
    finally:
        await manager.terminate()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(f"usage: {sys.argv[0]} FOLDER TARGET [TIMES]")
    react(main, sys.argv[1:])
