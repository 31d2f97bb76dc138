"""Tells one text to many parties at once, and says who took it. It never listens.

Run it with::

    python examples/broadcaster.py keys "the building closes at six" sip:bob@localhost:5062 sip:carol@localhost:5064
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import react

from sip_p2p import RealTimeServerTlsConnectionManager, SipError, SipPeerToPeerEndpoint

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


async def tell(broadcaster: SipPeerToPeerEndpoint, target: str, text: str) -> bool:
    """Send *text* to one party; whether it was taken."""
    try:
        await broadcaster.send_message(target, text, timeout=10)
    except SipError as error:
        print(f"{target}: {error}")
        return False
    print(f"{target}: delivered")
    return True


async def main(reactor: IReactorTime, folder: str, text: str, *targets: str) -> None:
    """Tell everybody; the exit code is 1 when somebody could not be told."""
    manager = RealTimeServerTlsConnectionManager(
        reactor, certificate=f"{folder}/localhost.pem", trust=f"{folder}/ca.pem"
    )
    broadcaster = SipPeerToPeerEndpoint("sip:news@localhost", manager)
    told = await DeferredList([Deferred.fromCoroutine(tell(broadcaster, target, text)) for target in targets])
    await manager.terminate()
    delivered = sum(1 for _, taken in told if taken)
    print(f"{delivered} of {len(targets)} delivered")
    if delivered < len(targets):
        raise SystemExit(1)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit(f"usage: {sys.argv[0]} FOLDER TEXT TARGET...")
    react(main, sys.argv[1:])
