"""What the tests of the commands share that talk to a party: one on loopback, and the command line that finds it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.service.words import ExitCode
from tests.service.support import keys
from tests.support import TestCase, reactor

if TYPE_CHECKING:
    from sip_p2p.service.settings.options import PartyOptions

__all__ = ["ALICE", "URI", "PartyCase"]

URI = ("--uri", "sip:bob@b.example")
ALICE = "sip:alice@a.example"


class PartyCase(TestCase):
    """``sip:alice@a.example`` over mutual TLS, and commands of ``sip:bob@b.example``."""

    async def party(self, **arguments: Any) -> SipPeerToPeerEndpoint:
        """Alice, made with *arguments*."""
        folder = keys()
        manager = RealTimeServerTlsConnectionManager(
            reactor, folder / "a.example.pem", trust=folder / "ca.pem", allow=["b.example"]
        )
        self.addCleanup(manager.terminate)
        await manager.start_listening("tls:port=0:interface=127.0.0.1")
        return SipPeerToPeerEndpoint(ALICE, manager, **arguments)

    @staticmethod
    def arguments(endpoint: SipPeerToPeerEndpoint, trust: str = "ca.pem") -> tuple[str, ...]:
        """Who we are, and where a.example is."""
        folder = keys()
        return (
            *URI, "--certificate", str(folder / "b.example.pem"), "--trust", str(folder / trust),
            "--resolve", f"a.example=127.0.0.1:{endpoint.connection_manager.listening_port}",
        )  # fmt: skip

    async def told(self, options: Any, *arguments: str) -> tuple[ExitCode, str, str]:
        """Run the command whose options are of this class: exit code, standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        code = await self.begun(options(), out, err, *arguments)
        return code, out.getvalue(), err.getvalue()

    async def as_json(self, options: Any, *arguments: str) -> tuple[ExitCode, list[dict[str, Any]]]:
        """The same with ``--json``: exit code, and what was told, all of it in ASCII."""
        code, out, err = await self.told(options, "--json", *arguments)
        self.assertEqual(err, "")
        self.assertTrue(out.isascii())
        return code, [json.loads(line) for line in out.splitlines()]

    @staticmethod
    def begun(options: PartyOptions, out: io.StringIO, err: io.StringIO, *arguments: str) -> defer.Deferred[ExitCode]:
        """Begin the command; cancelling what is returned is the interrupt."""
        options.parseOptions(list(arguments))
        options.limits = options.limits.replace(drain_timeout=0.5)
        return defer.Deferred.fromCoroutine(options.begin(out, err)(reactor))  # type: ignore[attr-defined]

    async def interrupted(self, options: PartyOptions, until: str, *arguments: str) -> str:
        """Interrupt the command as soon as it has told *until*: what it told."""
        out = io.StringIO()
        working = self.begun(options, out, io.StringIO(), *arguments)
        while until not in out.getvalue():
            if working.called:
                self.fail(f"{until!r} was never told: {out.getvalue()}")
            waiting: defer.Deferred[None] = defer.Deferred()
            reactor.callLater(0.01, waiting.callback, None)
            await waiting
        working.cancel()
        with self.assertRaises(defer.CancelledError):
            await working
        return out.getvalue()
