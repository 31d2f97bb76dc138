"""``sip-p2p demo``: two parties find each other, prove who they are, talk and call; a third one fails to.

Everything happens in one process on loopback, with certificates made on the spot and nothing left behind. The exit
code is 0 only if all went as it should. With ``--keep`` it goes on (:mod:`.kept_demo`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, final

from twisted.internet.defer import Deferred
from twisted.python import usage

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.errors import SipError, TlsFailure, TlsFailureReason
from sip_p2p.observe.ladder import ladder
from sip_p2p.observe.text import printable
from sip_p2p.observe.trace import Tap
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.commands.drawing import draws_lines, terminal_width
from sip_p2p.service.settings.command_line import CommandOptions
from sip_p2p.service.silence import silent_answer, silent_offer
from sip_p2p.service.words import ExitCode, explain
from sip_p2p.transport.dns.resolver import StaticResolver

if TYPE_CHECKING:
    from typing import TextIO

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.service.settings.command_line import Work

__all__ = ["DemoOptions", "Demonstration", "demonstrate"]

_PATIENCE = 4.0


class DemoOptions(CommandOptions):
    """The options of ``sip-p2p demo``.

    :ivar port: where the console listens; 0 for any free port.
    """

    synopsis = "Usage: sip-p2p demo [options]"
    longdesc = (
        "Two parties on this machine prove to each other who they are and talk; a third one is refused. With --keep "
        "they go on, and one of them has a console to look at in a browser, until Ctrl-C."
    )
    optFlags: ClassVar = [["keep", "k", "go on, with a console in the browser"]]
    optParameters: ClassVar = [["port", "p", "0", "the port of the console on this machine; any free one without it"]]

    def postOptions(self) -> None:
        """Check the port.

        :raises UsageError: it is none, or there is nothing for it.
        """
        text = self["port"]
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
            raise usage.UsageError(f"--port {printable(text)} is not a port")
        self.port = int(text)
        if self.port and not self["keep"]:
            raise usage.UsageError("--port is given without --keep: there is no console")

    def begin(self, out: TextIO, err: TextIO) -> Work:
        """What is to be done in a reactor."""
        return lambda reactor: demonstrate(reactor, out, self.port if self["keep"] else None)


@final
class Demonstration:
    """The stage: who takes part, and what was and was not as it should be."""

    def __init__(self, reactor: IReactorTime, folder: Path, out: TextIO) -> None:
        self.reactor = reactor
        self._folder = folder
        self.out = out
        self.addresses: dict[str, tuple[str, int | None]] = {}
        self._managers: list[RealTimeServerTlsConnectionManager] = []
        self.complaints: list[str] = []

    def say(self, text: str = "") -> None:
        """One line to the audience."""
        print(text, file=self.out)

    def expect(self, condition: bool, otherwise: str) -> None:
        """Note that something went differently."""
        if not condition:
            self.complaints.append(otherwise)

    async def party(self, uri: str, certificate: Path, allow: str, *, listens: bool = True) -> SipPeerToPeerEndpoint:
        """A party of its own, with its own connection manager."""
        manager = RealTimeServerTlsConnectionManager(
            self.reactor, certificate, trust=self._folder / "ours" / "ca.pem", allow=[allow]
        )
        self._managers.append(manager)
        endpoint = SipPeerToPeerEndpoint(uri, manager)
        if listens:
            listener = await manager.start_listening("tls:port=0:interface=127.0.0.1")
            self.addresses[endpoint.aor.host] = listener.address
            self.say(f"  {uri} listens on {listener.address[0]}:{listener.port}, mutual TLS, and lets {allow} in")
        return endpoint

    def introduce(self) -> None:
        """What DNS would do: from now on everybody finds everybody by name."""
        for manager in self._managers:
            manager.resolver = StaticResolver(self.addresses, manager.resolver)

    def heard(self, who: str, event: IncomingRequest, expected: str) -> None:
        """Tell what somebody got, and from whom that is proved to be."""
        peer = event.peer
        self.say(f"  {who} gets {event.text!r} from {event.from_.uri}")
        self.say(f"      the sender's certificate proved {peer.identity} ({peer.tls_version})")
        self.expect(peer.identity == expected and peer.tls_version.startswith("TLSv1."), f"{who} took it for {peer}")

    async def end(self) -> None:
        """Close everything."""
        for manager in self._managers:
            await manager.terminate()
            left = {name: count for name, count in manager.inventory().items() if count}
            self.expect(not left, f"something is left over: {left}")


async def demonstrate(reactor: IReactorTime, out: TextIO, keep: int | None = None) -> ExitCode:
    """Play it on *reactor* and tell it to *out*.

    :param keep: go on until this is cancelled, with the console at this port, 0 for any free one; None ends it.
    """
    with tempfile.TemporaryDirectory(prefix="sip-p2p-demo-") as folder:
        stage = Demonstration(reactor, Path(folder), out)
        try:
            await _play(stage, Path(folder))
        except (SipError, OSError) as error:
            words = explain(error)
            stage.complaints.append(f"{words.what} {words.remedy}".strip())
        finally:
            await stage.end()
    for complaint in stage.complaints:
        stage.say(f"This should not have happened: {printable(complaint, 512)}")
    if stage.complaints:
        return ExitCode.USAGE
    stage.say("Everything went as it should.")
    if keep is None:
        stage.say("--keep goes on, with a console in your browser: make demo ARGS=--keep")
        return ExitCode.OK
    return await _go_on(reactor, out, keep)


async def _go_on(reactor: IReactorTime, out: TextIO, port: int) -> ExitCode:
    """The same people once more, for as long as somebody looks."""
    # A whole service, which the others need not wait for.
    from sip_p2p.service.commands.kept_demo import Company

    with tempfile.TemporaryDirectory(prefix="sip-p2p-demo-") as folder:
        stage = Demonstration(reactor, Path(folder), out)
        company = Company(stage, Path(folder), port)
        stage.say("\nIt goes on:")
        try:
            await company.gather()
            stage.say(f"\nThe console is at {company.address}\nCtrl-C ends it.")
            out.flush()
            await company.live()
        finally:
            await company.end()
            await stage.end()
    return ExitCode.OK


async def _play(stage: Demonstration, folder: Path) -> None:
    ours = CertificateAuthority.create("the authority of the demo", folder / "ours")
    stage.say("Two parties on this machine, with certificates of an authority that both trust:")
    alice = await stage.party("sip:alice@a.example", ours.issue("a.example").write(folder / "ours"), "b.example")
    bob = await stage.party("sip:bob@b.example", ours.issue("b.example").write(folder / "ours"), "a.example")
    tap = Tap(local="a.example")
    alice.connection_manager.add_tap(tap)
    alice.message_received.subscribe(lambda event: stage.heard("alice", event, "b.example"))
    bob.message_received.subscribe(lambda event: stage.heard("bob", event, "a.example"))
    stage.introduce()

    stage.say("\nThey talk:")
    answer = await alice.send_message("sip:bob@b.example", "Hello Bob, is it really you?", timeout=_PATIENCE)
    stage.expect(answer.status == 200, f"bob answered {answer.status}")
    answer = await bob.send_message("sip:alice@a.example", "Hello Alice, ask my certificate.", timeout=_PATIENCE)
    stage.expect(answer.status == 200, f"alice answered {answer.status}")
    answer = await alice.request("OPTIONS", "sip:bob@b.example", timeout=_PATIENCE)
    allowed = answer.headers.get("Allow", "")
    stage.say(f"  alice asks bob with OPTIONS what he can do: {printable(allowed or 'nothing')}")
    stage.expect("MESSAGE" in (allowed or ""), "bob did not say that he takes messages")

    await _call(stage, alice, bob)
    await _refuse_an_impostor(stage, folder, bob)
    stage.say("\nThe SIP ladder, as alice saw it:\n")
    stage.say(ladder(tap.events(), width=terminal_width(stage.out), ascii_only=not draws_lines(stage.out)))
    stage.expect(len(tap.events()) == 12, f"the trace holds {len(tap.events())} messages instead of 12")


async def _call(stage: Demonstration, alice: SipPeerToPeerEndpoint, bob: SipPeerToPeerEndpoint) -> None:
    """A session, from the ringing to the hanging up."""

    async def ringing(session: SignalingSession) -> None:
        session.ring()
        stage.expect(session.peer is not None and session.peer.identity == "a.example", "bob does not know who calls")
        await session.accept(silent_answer(session.offer) if session.offer else None)

    stage.say("\nAlice calls bob, whose phone rings:")
    bob.session_received.subscribe(ringing)
    session = await alice.invite("sip:bob@b.example", silent_offer(), max_ring=_PATIENCE)
    answered = session.remote_description
    stage.say(f"  bob answers with {'nothing' if answered is None else answered.content_type}")
    await session.terminate()
    stage.say("  alice hangs up")


async def _refuse_an_impostor(stage: Demonstration, folder: Path, bob: SipPeerToPeerEndpoint) -> None:
    """Somebody who calls himself a.example, with a certificate that no trusted authority has issued."""
    stage.say("\nMallory calls himself alice, with a certificate for a.example that he has issued himself:")
    theirs = CertificateAuthority.create("the authority of mallory", folder / "theirs")
    mallory = await stage.party(
        "sip:alice@a.example", theirs.issue("a.example").write(folder / "theirs"), "b.example", listens=False
    )
    stage.introduce()
    refusal: Deferred[TlsFailure] = Deferred()
    bob.connection_manager.tls_failed.subscribe(refusal.callback)
    try:
        await mallory.send_message("sip:bob@b.example", "Hello Bob, this is Alice.", timeout=_PATIENCE)
    except TlsFailure as failure:
        stage.say(f"  mallory is told: {explain(failure).what}")
        stage.expect(
            failure.reason is TlsFailureReason.LOCAL_CERTIFICATE_REJECTED, f"mallory was told {failure.reason.name}"
        )
    else:
        stage.expect(False, "mallory got through")
        return
    seen = await refusal.addTimeout(_PATIENCE, stage.reactor)
    stage.say(f"  bob says why:    {explain(seen).what}")
    stage.expect(seen.reason is TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE, f"bob refused for {seen.reason.name}")
