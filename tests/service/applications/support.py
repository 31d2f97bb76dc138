"""What the tests of applications share: an application's setting, and parties that run one over mutual TLS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.task import Clock

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.service.applications.running import RunningApplication
from sip_p2p.service.applications.setting import ApplicationSetting
from sip_p2p.service.chronicle import Chronicle
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.json_lines import JsonLines
from sip_p2p.transport.dns.resolver import StaticResolver
from sip_p2p.transport.trust.identity import TrustPolicy
from tests.service.support import keys, parsed
from tests.support import TestCase, reactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.from_policy import FromPolicy
    from sip_p2p.service.applications.base import Application

__all__ = ["ApplicationCase", "setting"]

A = TypeVar("A", bound="Application")


def setting(
    *arguments: str, write: Callable[[str], object] = str, clock: IReactorTime | None = None
) -> ApplicationSetting:
    """What a built-in application is made with.

    :param write: where its lines go.
    """
    options = parsed("--uri", "sip:user@a.example", "--proxy", "tcp:127.0.0.1:9", *arguments)
    return ApplicationSetting(Happenings(), JsonLines(write), options, clock or Clock())


class ApplicationCase(TestCase):
    """Two parties over mutual TLS on loopback, one of which runs an application."""

    def setUp(self) -> None:
        """Nothing is told yet."""
        super().setUp()
        self.chronicles: list[Chronicle] = []

    async def party(self, name: str, peer: str, from_policy: FromPolicy | None = None) -> SipPeerToPeerEndpoint:
        """``sip:user@NAME``, listening, open for *peer*."""
        folder = keys()
        manager = RealTimeServerTlsConnectionManager(
            reactor,
            folder / f"{name}.pem",
            trust=folder / "ca.pem",
            allow=TrustPolicy.parse([peer]),
            from_policy=from_policy,
        )
        self.addCleanup(manager.terminate)
        await manager.start_listening("tls:port=0:interface=127.0.0.1")
        return SipPeerToPeerEndpoint(f"sip:user@{name}", manager)

    async def parties(
        self, from_policy: FromPolicy | None = None
    ) -> tuple[SipPeerToPeerEndpoint, SipPeerToPeerEndpoint]:
        """``sip:user@a.example``, and ``sip:user@b.example`` that talks to it."""
        ours = await self.party("a.example", "b.example", from_policy)
        theirs = await self.party("b.example", "a.example")
        table = {each.aor.host: ("127.0.0.1", each.connection_manager.listening_port) for each in (ours, theirs)}
        for each in (ours, theirs):
            each.connection_manager.resolver = StaticResolver(table, each.connection_manager.resolver)
        return ours, theirs

    def run_at(self, endpoint: SipPeerToPeerEndpoint, application: Application, given: ApplicationSetting) -> Chronicle:
        """Let *application* run at *endpoint*, as a service does; what happens is told to those of *given*."""
        chronicle = Chronicle(given.happenings, endpoint)
        chronicle.listen()
        RunningApplication(application).attach(endpoint)
        application.started(endpoint)
        chronicle.started()
        self.chronicles.append(chronicle)
        return chronicle

    async def pair(
        self, kind: Callable[[ApplicationSetting], Application], from_policy: FromPolicy | None = None
    ) -> tuple[SipPeerToPeerEndpoint, SipPeerToPeerEndpoint, list[dict[str, Any]]]:
        """A party that runs an application of *kind*, one that talks to it, and the events that are told."""
        given = setting(clock=reactor)
        events: list[dict[str, Any]] = []
        given.happenings.follow(lambda happening: events.append(json.loads(json.dumps(happening.as_json()))))
        ours, theirs = await self.parties(from_policy)
        self.run_at(ours, kind(given), given)
        return ours, theirs, events
