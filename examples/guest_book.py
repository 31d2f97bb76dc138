"""An application of one's own for the service: a guest book, in which everybody writes under the name they have proved.

Run it with::

    cd examples
    twistd -n sip-p2p --uri sip:guests@localhost --certificate ../keys/localhost.pem --trust ../keys/ca.pem \\
        --listen tls:port=5065:interface=127.0.0.1 --application guest_book:GuestBook
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.service.applications import Application

if TYPE_CHECKING:
    from sip_p2p import IncomingRequest, Response, SipPeerToPeerEndpoint


class GuestBook(Application):
    """A MESSAGE is an entry; the answer to INFO is the whole book."""

    methods = ("INFO",)

    def __init__(self) -> None:
        self.entries: list[str] = []

    def started(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """Say where the guest book lies."""
        print(f"the guest book is {endpoint.contact_uri}", flush=True)

    def message(self, event: IncomingRequest) -> int:
        """Write an entry down; an empty one is refused."""
        if not event.text.strip():
            return 400
        self.entries.append(f"{event.peer.identity}: {event.text}")
        return 200

    def request(self, event: IncomingRequest) -> Response:
        """Show the book."""
        return event.response(200, body="\n".join(self.entries) or "nobody has been here")
