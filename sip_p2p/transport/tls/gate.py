"""What stands between TLS and a protocol until the peer is verified, and what OpenSSL asks of it on the way.

Nothing may be raised into OpenSSL, and nothing but a judgement of the connection's own :class:`PeerGate` is a yes: each
of the callbacks here fails closed. The judgement itself is passed by :mod:`.trust.judgement`.

RFC 7301 (application protocols), RFC 6066 (server names, stapled responses).
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, cast, final

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.transport.tls.resumption import KeptSession
from sip_p2p.transport.trust.certificate_facts import Refused
from sip_p2p.transport.trust.failure import openssl_errors, trouble_of
from sip_p2p.transport.trust.judgement import PeerCheck
from sip_p2p.transport.trust.revocation import RevocationMode

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from OpenSSL.crypto import X509
    from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IReactorTime

    from sip_p2p.transport.tls.contexts import TlsContexts
    from sip_p2p.transport.tls.protocol import HoldingTlsProtocol
    from sip_p2p.transport.tls.settings import TlsSettings
    from sip_p2p.transport.trust.credential import Credential

__all__ = [
    "PeerGate",
    "Terms",
    "choose_certificate",
    "gate_of",
    "judge_staple",
    "own_staple",
    "select_protocol",
    "verify",
]

_log = Logger()


@final
class Terms:
    """What all connections of one TLS factory have in common.

    :ivar settings: who we are and whom we trust.
    :ivar expected: the name that was dialled, in normal form; None for a listener.
    :ivar clock: the reactor, or what a test advances.
    :ivar patience: the seconds from the TCP connection to the verified peer, or what tells them.
    :ivar application_protocol: what is spoken over TLS, as ALPN names it; empty for no negotiation.
    :ivar session_key: under which key sessions are kept for the next connection to the same peer; None for not at all.
    """

    __slots__ = ("application_protocol", "clock", "expected", "patience", "session_key", "settings")

    def __init__(
        self,
        settings: TlsSettings,
        expected: str | None,
        clock: IReactorTime,
        patience: float | Callable[[], float],
        application_protocol: bytes,
        session_key: Hashable,
    ) -> None:
        self.settings = settings
        self.expected = expected
        self.clock = clock
        self.patience = patience
        self.application_protocol = application_protocol
        self.session_key = session_key

    @property
    def handshake_timeout(self) -> float:
        """The seconds from the TCP connection to the verified peer, for one that is made now."""
        patience = self.patience
        return patience() if callable(patience) else patience


@implementer(IHandshakeListener)
@final
class PeerGate(Protocol):
    """Stands between TLS and the wrapped protocol until the peer is verified, and reports the end in our terms.

    To TLS it is the protocol, and only what Twisted promises of its protocols is used; the wrapped protocol talks to
    the TLS layer directly from the beginning. With the first bytes from the verified peer the gate steps out of the
    way.
    """

    _failure: TlsFailure | None = None
    _timeout: IDelayedCall | None = None
    _patience = 0.0
    _is_verified = False
    _has_received = False
    # What a resumed session rests on, while the handshake runs; then the session that is to be kept.
    _session: KeptSession | None = None
    _session_is_due = False
    _staple_is_judged = False
    _staple_expires: datetime.datetime | None = None

    def __init__(self, terms: Terms, contexts: TlsContexts, inner: IProtocol) -> None:
        self.contexts = contexts
        self.terms = terms
        self.check = PeerCheck(
            contexts.trust,
            contexts.policy,
            expected=terms.expected,
            require_certificate=terms.expected is not None or contexts.require_certificate,
            usage=contexts.usage,
            rules=contexts.rules,
        )
        self._inner = inner

    def makeConnection(self, transport: HoldingTlsProtocol) -> None:
        """TCP is connected: hold what is written, and wait for the handshake, but not for ever."""
        self._tls = transport
        self.connected = 1
        transport.hold_writes()
        if not self.check.is_client:
            self.check.peer = _address_in_words(transport.getPeer())  # type: ignore[no-untyped-call]
        self._patience = self.terms.handshake_timeout
        self._timeout = self.terms.clock.callLater(self._patience, self._timed_out)
        self._inner.makeConnection(transport)

    def resume(self, connection: SSL.Connection) -> None:
        """Offer the session of an earlier connection to the same peer, if one was kept."""
        terms = self.terms
        if terms.session_key is None:
            return
        now = datetime.datetime.now(datetime.UTC)
        kept = self.contexts.sessions.take(terms.session_key, terms.clock.seconds(), now)
        if kept is not None:
            connection.set_session(kept.session)
            self._session = kept
            self.check.may_resume = True

    def handshakeCompleted(self) -> None:
        """OpenSSL is content; now our own judgement decides."""
        tls = self._tls
        check = self.check
        was_resumed = not check.has_approved
        verified = None
        if self._failure is None and self._has_staple(was_resumed):
            verified = check.conclude(tls.getHandle())  # type: ignore[no-untyped-call]
        if verified is None:
            tls.abortConnection()
            return
        if verified.identities is not None:
            self.terms.settings.count_handshake(was_resumed)
        verified.was_resumed = was_resumed
        verified.handshake_seconds = self._stop_timeout()
        self._is_verified = True
        verified.is_for_callers = self.terms.settings.is_for_callers
        tls.verified = verified
        if check.is_client and self.terms.session_key is not None:
            began = self.terms.clock.seconds()
            if was_resumed and self._session is not None:
                # What is resumed again and again is still the full handshake of the beginning.
                began, self._staple_expires = self._session.began, self._session.good_until
            self._session = None
            self._keep_session(began, at_once=verified.tls_version == "TLSv1.2")
        tls.release_writes()
        if IHandshakeListener.providedBy(self._inner):
            self._inner.handshakeCompleted()

    def _has_staple(self, was_resumed: bool) -> bool:
        """Whether the server's stapled response was looked at, where nobody is accepted without one."""
        revocation = self.contexts.revocation
        if (
            revocation is None
            or revocation.stapling is not RevocationMode.HARD
            or not self.check.is_client
            or was_resumed
            or self._staple_is_judged
        ):
            return True
        self.refuse(Refused(TlsFailureReason.REVOCATION_UNKNOWN, "the server stapled no OCSP response"))
        return False

    def _keep_session(self, began: float, *, at_once: bool) -> None:
        """Keep the session for the next connection; in TLS 1.3 it comes with the first that the server says."""
        if not at_once:
            self._session_is_due = True
            self._session_began = began
            return
        session = self._tls.getHandle().get_session()  # type: ignore[no-untyped-call]
        if session is not None:
            self.contexts.sessions.keep(self.terms.session_key, KeptSession(session, began, self._staple_expires))

    def judge_staple(self, connection: SSL.Connection, response: bytes) -> bool:
        """Whether the server is accepted for what it has stapled to its handshake; empty if that is nothing."""
        try:
            self._staple_is_judged = True
            if self.check.refusal is not None:
                return False
            if not self.check.has_approved:
                # Nothing is stapled to a resumed handshake: the session is one that still rests on an earlier staple.
                return self.check.may_resume
            chain = connection.get_verified_chain(as_cryptography=True) or []
            revocation = self.contexts.revocation
            if revocation is not None and len(chain) > 1:
                self._staple_expires = revocation.judge_staple(response, chain[0], chain[1])
            return True
        except Refused as refused:
            self.refuse(refused)
        except Exception:
            self.refuse(Refused(TlsFailureReason.OTHER, "judging the stapled OCSP response failed"))
            _log.failure("a stapled OCSP response could not be judged, so {peer} is refused", peer=self.check.peer)
        return False

    def refuse(self, refused: Refused) -> None:
        """The connection will not be, for this reason; the first one counts."""
        if self._failure is None:
            self._failure = TlsFailure(refused.reason, self.check.peer, detail=refused.detail)

    def dataReceived(self, data: bytes) -> None:
        """The first bytes of the peer: from now on they go to the wrapped protocol directly."""
        if not self._is_verified:
            self.refuse(Refused(TlsFailureReason.OTHER, "data came before verification"))
            self._tls.abortConnection()
            return
        self._has_received = True
        if self._session_is_due:
            self._session_is_due = False
            self._keep_session(self._session_began, at_once=True)
        self._tls.hand_over(self._inner)
        self._inner.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is over: say why, once."""
        self._stop_timeout()
        failure = self.check.refusal or self._failure
        if failure is None:
            reason = self._in_our_terms(reason)
        else:
            reason = Failure(failure)
        if not self._is_verified and not self.check.is_client and isinstance(reason.value, TlsFailure):
            self._report(reason.value)
        self._inner.connectionLost(reason)

    def _in_our_terms(self, reason: Failure) -> Failure:
        """What the TLS layer or TCP reports, as a :class:`TlsFailure` where TLS is what failed."""
        error = reason.value
        peer = self.check.peer
        if isinstance(error, SSL.Error):
            trouble = trouble_of(
                error,
                # What a server hears in the handshake, and a client after it has found the server good, answers the
                # flight with the certificate; so does the first that a client hears after the handshake in TLS 1.3.
                certificate_sent=not self._has_received and (not self.check.is_client or self.check.has_approved),
                have_certificate=self.contexts.credential is not None,
                verified=self._is_verified,
            )
            if self._is_verified and trouble.reason is TlsFailureReason.REMOTE_DISCONNECTED:
                return Failure(ConnectionLost())
            certificate = self._tls.verified.certificate if self._tls.verified is not None else None
            return Failure(
                TlsFailure(
                    trouble.reason,
                    peer,
                    certificate,
                    detail=trouble.detail,
                    alert=trouble.alert,
                    errors=openssl_errors(error),
                )
            )
        if self._is_verified or self._tls.disconnecting:
            return reason
        return Failure(TlsFailure(TlsFailureReason.REMOTE_DISCONNECTED, peer, detail=reason.getErrorMessage()))

    def _timed_out(self) -> None:
        self._timeout = None
        seconds = self._patience
        self.refuse(Refused(TlsFailureReason.HANDSHAKE_TIMEOUT, f"after {seconds:g} s"))
        self._tls.abortConnection()

    def _stop_timeout(self) -> float:
        """Stop waiting; tell for how many seconds it was waited."""
        timeout, self._timeout = self._timeout, None
        if timeout is None:
            return 0.0
        left = timeout.getTime() - self.terms.clock.seconds()
        timeout.cancel()
        return max(0.0, self._patience - left)

    def _report(self, failure: TlsFailure) -> None:
        report = self.terms.settings.on_failure
        if report is None:
            return
        try:
            report(failure)
        except Exception:
            _log.failure("reporting a refused connection failed")


def gate_of(connection: SSL.Connection) -> PeerGate:
    """The gate of an OpenSSL connection.

    :raises TypeError: it has none; nobody may be let in then.
    """
    gate = getattr(connection.get_app_data(), "wrappedProtocol", None)
    if not isinstance(gate, PeerGate):
        raise TypeError("this connection has no gate, so nobody can be let in")
    return gate


def verify(connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    """OpenSSL's verify callback, for every connection of every context."""
    try:
        return gate_of(connection).check.judge(certificate, code, depth)
    except Exception:
        _log.failure("a certificate could not be judged, so its owner is refused")
        return False


class _NoCommonProtocol(SSL.Error):
    """Raised into the negotiation, and by it out of the handshake: the alert is ``no_application_protocol``."""


def select_protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """OpenSSL's callback for a client that says which application protocols it speaks (RFC 7301 section 3.2)."""
    gate = gate_of(connection)
    wanted = gate.terms.application_protocol
    if not wanted:
        return SSL.NO_OVERLAPPING_PROTOCOLS
    if wanted in offered:
        return wanted
    names = ", ".join(each.decode("ascii", "replace")[:16] for each in offered[:8])
    words = f"it speaks {names!r} here, and we speak {wanted.decode('ascii')}"
    gate.refuse(Refused(TlsFailureReason.NO_COMMON_APPLICATION_PROTOCOL, words))
    raise _NoCommonProtocol([("SSL routines", "", "no application protocol")])


def choose_certificate(connection: SSL.Connection) -> None:
    """OpenSSL's callback for the server's name that a client asks for, if it does."""
    contexts = gate_of(connection).contexts
    context = contexts.context_for(connection.get_servername())
    if context is not None:
        connection.set_context(context)


def own_staple(connection: SSL.Connection, credential: Credential | None) -> bytes:
    """OpenSSL's callback for a client that asks for the OCSP response on our certificate; empty for none."""
    try:
        return b"" if credential is None else credential.current_staple(datetime.datetime.now(datetime.UTC))
    except Exception:
        _log.failure("our OCSP response could not be stapled")
        return b""


def judge_staple(connection: SSL.Connection, response: bytes, _: object = None) -> bool:
    """OpenSSL's callback for what the server has stapled, or has not."""
    try:
        return gate_of(connection).judge_staple(connection, response)
    except Exception:
        _log.failure("a stapled OCSP response could not be judged, so the server is refused")
        return False


def _address_in_words(address: IAddress) -> str:
    host = getattr(address, "host", None)
    if host is None:
        return str(address)
    port = cast("Any", address).port
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
