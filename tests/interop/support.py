"""What the tests against real peers share: cases that skip or fail where a peer is missing, and our own side."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest

from sip_p2p import (
    Limits,
    RealTimeServerTcpConnectionManager,
    RealTimeServerTlsConnectionManager,
    SipPeerToPeerEndpoint,
    Transport,
)
from tests.interop.certificates import Certificates
from tests.support import TestCase

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.interop.certificates import Leaf
    from tests.interop.peers.peer import Peer

__all__ = ["OUR_DOMAIN", "STEADY", "TEXT", "InteropTestCase", "Party", "folder"]

reactor: Any = _reactor

P = TypeVar("P", bound="Peer")

OUR_DOMAIN = "a.example"
"""The domain that our certificates prove."""

STEADY = Limits(overload_lag=0.0)
"""A busy machine that lets us run late is no reason to refuse what a peer asks for."""

TEXT = "Grüße, 你好 ✓"
"""What the messages say: more octets than characters."""


class Party:
    """Our side: an endpoint, its manager, and what came in.

    :ivar received: the events of every MESSAGE, in order.
    :ivar tls_failures: the :class:`~sip_p2p.TlsFailure` of every refused inbound handshake.
    """

    def __init__(self, manager: Any, **options: Any) -> None:
        self.manager = manager
        self.endpoint = SipPeerToPeerEndpoint(f"sip:alice@{OUR_DOMAIN}", manager, **options)
        self.received: list[Any] = []
        self.tls_failures: list[Any] = []
        self.failed: Deferred[Any] = Deferred()
        self.endpoint.message_received.subscribe(self._arrived)
        manager.tls_failed.subscribe(self._refused)

    def _arrived(self, event: Any) -> None:
        self.received.append(event)

    def _refused(self, failure: Any) -> None:
        self.tls_failures.append(failure)
        if not self.failed.called:
            self.failed.callback(failure)

    def uri(self, transport: str, host: str = "127.0.0.1", user: str = "alice") -> str:
        """A URI by which a peer reaches this party, which listens on one port."""
        suffix = "" if transport == "udp" else f";transport={transport}"
        return f"sip:{user}@{host}:{self.manager.listening_port}{suffix}"


class InteropTestCase(TestCase):
    """A test with programs that are not ours.

    Where one is missing the test is skipped, and says so; with ``SIP_P2P_INTEROP=require`` in the environment it fails.
    What can be installed is required then; what this system forbids, such as a network namespace in some containers,
    nobody can install, and the test is skipped with the reason.

    :cvar needs: the peers (classes or modules with ``missing`` and ``packages``, and ``forbidden`` where rights are
        needed) without which it cannot run.
    """

    needs: tuple[Any, ...] = ()
    timeout = 60

    def setUp(self) -> None:
        """See that every peer is there."""
        for peer in self.needs:
            missing = peer.missing()
            if missing is not None:
                reason = f"{missing} is not here (install: {peer.packages})"
                if os.environ.get("SIP_P2P_INTEROP") == "require":
                    self.fail(reason)
                raise SkipTest(reason)
            forbidden = peer.forbidden() if hasattr(peer, "forbidden") else None
            if forbidden is not None:
                raise SkipTest(forbidden)
        self._to_stop: list[Callable[[], Awaitable[None]]] = []
        # Also where setUp of a subclass fails, after which trial calls no tearDown.
        self.addCleanup(self._stop_all)

    async def tearDown(self) -> None:
        """End what the test started, the latest first, and wait for its connections to be gone."""
        await self._stop_all()
        await super().tearDown()

    async def _stop_all(self) -> None:
        failures = []
        while self._to_stop:
            try:
                await self._to_stop.pop()()
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def stop_later(self, stop: Callable[[], Awaitable[None]]) -> None:
        """Call *stop* when the test is over."""
        self._to_stop.append(stop)

    def folder(self) -> str:
        """A new folder for this test, with a path short enough for Unix sockets."""
        path = tempfile.mkdtemp(prefix="sip-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def peer(self, kind: type[P], *arguments: Any) -> P:
        """A new peer of the class *kind*, stopped when the test is over."""
        peer = kind(reactor, self.folder(), *arguments)
        self.stop_later(peer.stop)
        return peer

    @property
    def certificates(self) -> Certificates:
        """The certificates of this run."""
        return _certificates()

    async def clear_text_party(
        self, *listen: str, manager_options: Mapping[str, Any] | None = None, **options: Any
    ) -> Party:
        """Our side over UDP or TCP."""
        manager = RealTimeServerTcpConnectionManager(reactor, **{"limits": STEADY, **(manager_options or {})})
        return await self._party(manager, listen, {"default_transport": Transport.UDP, **options})

    async def tls_party(
        self,
        *listen: str,
        certificate: Leaf | None = None,
        allow: Any = ("localhost",),
        trusted_proxies: Any = (),
        manager_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Party:
        """Our side over TLS; with the right certificate unless another is given."""
        leaf = certificate if certificate is not None else self.certificates.right(OUR_DOMAIN)
        given = {"certificate": leaf.certificate, "trust": self.certificates.trust, "allow": allow}
        given |= {"trusted_proxies": trusted_proxies, "limits": STEADY, **(manager_options or {})}
        manager = RealTimeServerTlsConnectionManager(reactor, **given)
        return await self._party(manager, listen, options)

    async def nameless_party(self, **options: Any) -> Party:
        """Our side over TLS without a certificate of its own: it can dial and prove nothing."""
        manager = RealTimeServerTlsConnectionManager(reactor, trust=self.certificates.trust, need_mutual_tls=False)
        return await self._party(manager, (), options)

    async def _party(self, manager: Any, listen: tuple[str, ...], options: dict[str, Any]) -> Party:
        party = Party(manager, **options)
        self.stop_later(manager.terminate)
        for description in listen:
            await manager.start_listening(description)
        return party

    async def failure_of(self, awaitable: Awaitable[Any], kind: type[BaseException]) -> Any:
        """The exception of type *kind* with which *awaitable* fails; anything else fails the test."""
        try:
            result = await awaitable
        except kind as error:
            return error
        raise self.failureException(f"no {kind.__name__}, but {result!r}")


def folder() -> str:
    """A new folder, for what outlives a test."""
    return tempfile.mkdtemp(prefix="sip-")


_made: list[Certificates] = []


def _certificates() -> Certificates:
    if not _made:
        path = folder()
        reactor.addSystemEventTrigger("after", "shutdown", shutil.rmtree, path, True)
        _made.append(Certificates(path))
    return _made[0]
