"""An event package of one's own: a thermometer that others watch.

Run it with::

    sip-p2p pki keys localhost
    python examples/event_package.py keys

and watch it from elsewhere with what it prints::

    python examples/event_package.py keys sip:...
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react

from sip_p2p import EventPackage, RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p import ServerSubscription


class Thermometer(EventPackage):
    """How warm it is. Whoever has proved its name may know."""

    name = "x-temperature"
    content_types = ("text/plain",)
    degrees = 20.0

    def state(self, subscription: ServerSubscription) -> tuple[str, bytes]:
        """What a subscriber is told, at first and after each change."""
        return "text/plain", f"{self.degrees:.1f}".encode()

    def warm(self) -> None:
        """It has become warmer: everybody is told."""
        self.degrees += 0.1
        self.changed()


async def main(reactor: IReactorTime, folder: str = "keys", target: str = "") -> None:
    """Be a thermometer; or watch the one at *target* until it has become warmer."""
    manager = RealTimeServerTlsConnectionManager(
        reactor, certificate=f"{folder}/localhost.pem", trust=f"{folder}/ca.pem", allow=["localhost"]
    )
    if target:
        watcher = SipPeerToPeerEndpoint("sip:watcher@localhost", manager)
        subscription = await watcher.subscribe(target, Thermometer.name)
        async for notification in subscription:
            print(f"it is {notification.text} degrees", flush=True)
            if float(notification.text) > 20.2:
                break
        await manager.terminate()
        return
    thermometer = Thermometer()
    party = SipPeerToPeerEndpoint("sip:thermometer@localhost", manager, packages=[thermometer])
    await manager.start_listening("tls:port=0:interface=127.0.0.1")
    print(f"the thermometer is {party.contact_uri}", flush=True)
    LoopingCall(thermometer.warm).start(0.5)
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
