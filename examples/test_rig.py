"""A test rig: it answers every call, checks what the caller offers against the rules (RFC 8866, RFC 3264), and prints a
verdict when the call is over.

Run it, and call it with anything::

    sip-p2p pki keys localhost
    python examples/test_rig.py keys 5066
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from zope.interface import implementer

from sip_p2p import (
    ContentDescription,
    IOfferAnswer,
    MalformedDescription,
    OfferRejected,
    RealTimeServerTlsConnectionManager,
    SignalingSession,
    SignalingState,
    SignalingStateChanged,
    SipError,
    SipPeerToPeerEndpoint,
)
from sip_p2p.sdp import (
    Ability,
    Codec,
    Connection,
    MediaDescription,
    Origin,
    SessionDescription,
    answer_faults,
    make_answer,
    next_offer_faults,
)

SPEECH = (Codec(0, "PCMU", 8000), Codec(8, "PCMA", 8000))
ADDRESS = "127.0.0.1"


@implementer(IOfferAnswer)
class Examination:
    """One call: what was offered and answered in it, and what was wrong with that."""

    def __init__(self, session: SignalingSession) -> None:
        self.faults: list[str] = []
        self.checked = 0
        self._theirs: SessionDescription | None = None
        self._ours = SessionDescription(
            Origin(ADDRESS, 1), (MediaDescription.of_codecs("audio", 40000, SPEECH),), connection=Connection(ADDRESS)
        )
        session.state_changed.subscribe(self._changed)

    def get_offer(self, session: SignalingSession) -> SessionDescription:
        """The caller lets us begin."""
        return self._ours

    def get_answer(self, session: SignalingSession, offer: ContentDescription) -> SessionDescription:
        """Look at every line of the offer; then take its speech, and refuse everything else."""
        offered = self._read(offer)
        if self._theirs is not None:
            self.faults += next_offer_faults(self._theirs, offered)
        self._theirs = offered
        if offered.media:
            try:
                self._ours = make_answer(offered, [Ability("audio", 40000, SPEECH)], ADDRESS, origin=self._ours.origin)
            except ValueError as error:
                raise OfferRejected(str(error)) from None
        else:
            self._ours = self._ours.replace(origin=self._ours.origin.next(), media=())
        return self._ours

    def set_answer(self, session: SignalingSession, answer: ContentDescription) -> None:
        """Hold the answer against our offer."""
        self._theirs = self._read(answer)
        self.faults += answer_faults(self._ours, self._theirs)

    def _read(self, description: ContentDescription) -> SessionDescription:
        """Leniently, with each fault noted; what cannot be understood at all is refused."""
        self.checked += 1
        try:
            read = SessionDescription.parse(description.body, lenient=True)
        except MalformedDescription as error:
            self.faults.append(str(error))
            raise OfferRejected(str(error)) from None
        self.faults += [str(fault) for fault in read.faults]
        return read

    def _changed(self, event: SignalingStateChanged) -> None:
        """The verdict, when the call is over."""
        if event.state is SignalingState.DISCONNECTED:
            for fault in self.faults:
                print(f"  fault: {fault}", flush=True)
            verdict = "FAIL" if self.faults else "PASS"
            print(
                f"{verdict}: {self.checked} descriptions, {len(self.faults)} faults; {event.reason.value}", flush=True
            )


async def answer(session: SignalingSession) -> None:
    """Take the call, and examine it."""
    examination = Examination(session)
    print(f"call {session.call_id}", flush=True)
    session.ring()
    try:
        await session.accept(examination)
    except SipError as error:
        print(f"  not established: {error}", flush=True)


async def main(reactor: Any, folder: str = "keys", port: str = "5066") -> None:
    """Answer calls until the process is interrupted."""
    manager = RealTimeServerTlsConnectionManager(
        reactor, certificate=f"{folder}/localhost.pem", trust=f"{folder}/ca.pem", allow=["localhost"]
    )
    # Ctrl-C hangs up before the program ends.
    reactor.addSystemEventTrigger("before", "shutdown", manager.terminate)
    rig = SipPeerToPeerEndpoint("sip:rig@localhost", manager, session_received=answer)
    await manager.start_listening(f"tls:port={port}:interface=127.0.0.1")
    print(f"the rig is {rig.contact_uri}", flush=True)
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
