"""Alice sends Bob a message and prints his answer. She does not listen: nobody can connect to her.

Run it with::

    python examples/hello_alice.py keys sip:bob@localhost:5062 "hello, Bob"
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twisted.internet.task import react

from sip_p2p import RealTimeServerTlsConnectionManager, SipError, SipPeerToPeerEndpoint

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


async def main(
    reactor: IReactorTime, folder: str = "keys", target: str = "sip:bob@localhost:5062", text: str = "hello, Bob"
) -> None:
    """Send one message; the exit code is 1 when it did not arrive."""
    manager = RealTimeServerTlsConnectionManager(
        reactor, certificate=f"{folder}/localhost.pem", trust=f"{folder}/ca.pem"
    )
    alice = SipPeerToPeerEndpoint("sip:alice@localhost", manager)
    try:
        response = await alice.send_message(target, text)
        print(f"{response.status} {response.reason}")
    except SipError as error:
        raise SystemExit(f"not delivered: {error}") from error
    finally:
        await manager.terminate()


if __name__ == "__main__":
    react(main, sys.argv[1:])
