"""Who watches, as a process of its own: one party that subscribes as often as it is told to, and reads what it hears.

:mod:`benchmarks.turns` says what it is told and answers; one operation is one subscription, which is held.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from twisted.internet import reactor

from benchmarks.descriptors import raise_limit
from benchmarks.notifier import PACKAGE
from benchmarks.running import run
from benchmarks.turns import TurnOfOperations, serve_turns
from sip_p2p import (
    Limits,
    RealTimeServerTcpConnectionManager,
    RealTimeServerTlsConnectionManager,
    SipPeerToPeerEndpoint,
)
from sip_p2p.transport.target import Target, Transport

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p import Notification, Subscription

__all__ = ["main"]


def _read(notification: Notification) -> None:
    """What an application does at the least."""
    assert notification.body


def main() -> None:
    """Serve turns until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.subscriber", description=__doc__)
    parser.add_argument("transport", choices=("tls", "tcp"))
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=1, help="to how many the subscriptions are spread")
    parser.add_argument("--certificate", required=True, help="PEM file with certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    options = parser.parse_args()
    raise_limit()
    limits = Limits(overload_lag=0).replace(dialogs=1_000_000)
    if options.transport == "tls":
        manager = RealTimeServerTlsConnectionManager(
            reactor,
            certificate=options.certificate,
            trust=options.trust,
            allow=["bob.example"],
            limits=limits,
            pool_size=options.connections,
        )
    else:
        manager = RealTimeServerTcpConnectionManager(reactor, limits=limits, pool_size=options.connections)
    endpoint = SipPeerToPeerEndpoint("sip:alice@alice.example", manager)
    target = Target(Transport.named(options.transport), "127.0.0.1", options.port, "bob.example")
    held: list[Subscription] = []

    def watch() -> Deferred[Subscription]:
        subscription = endpoint.create_subscription("sip:bob@bob.example", PACKAGE, via=target)
        subscription.notification_received.subscribe(_read)
        held.append(subscription)
        return subscription.start()

    serve_turns(lambda command: TurnOfOperations(watch, command))
    run()


if __name__ == "__main__":
    main()
