"""Every exception that sip_p2p raises, in one tree.

::

    SipError
      MalformedMessage(reason, status, offset)    the peer's bytes; names the status to answer with
      MalformedDescription(reason, line)          a session description that cannot be read (also a ValueError)
      MalformedDocument(reason, line)             a body of another kind that cannot be read (also a ValueError)
      InvalidOperation(retryable)                 our caller's misuse, raised at once
        AlreadyResponded                          a second answer to one request
        RestrictedHeader(name)                    a header that the stack owns (also a ValueError)
      RequestFailed(response)                     a final response >= 300
        AuthenticationFailed(response, realm, why)  a challenge that was not, or not rightly, answered
      OperationTimeout                            no final response in time (408)
      ConnectionFailure                           could not connect, or the flow was lost (503)
        PeerOverloaded(retry_after)               the peer has asked for less, and this was not sent
        TlsFailure(reason, peer, certificate)     reason is a TlsFailureReason
      MessageNotDelivered(report)                 its recipient reports that a message was not delivered
      OutboxFailed(cause)                         a file of messages cannot be used, or could not keep one
      OfferRejected(status)                       an application's own word: it cannot live with an offer or an answer
      SessionTerminated(reason)                   the session ended before the operation did
      SubscriptionTerminated(reason)              a subscription ended, and not because we wanted it to
      EndpointTerminated                          the endpoint, or its connection manager, is gone
      NotListening                                there is no such listener
      ListenFailed(cause)                         a listener could not bind

Wrong arguments are a ``ValueError`` or ``TypeError``, raised at once by the call that got them. Everything else fails
the ``Deferred`` of the operation, and only with these classes.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from sip_p2p.documents.imdn import Imdn
    from sip_p2p.sip.message import Response

__all__ = [
    "AlreadyResponded",
    "AuthenticationFailed",
    "ConnectionFailure",
    "EndpointTerminated",
    "InvalidOperation",
    "ListenFailed",
    "MalformedDescription",
    "MalformedDocument",
    "MalformedMessage",
    "MessageNotDelivered",
    "NotListening",
    "OfferRejected",
    "OperationTimeout",
    "OutboxFailed",
    "PeerOverloaded",
    "RequestFailed",
    "RestrictedHeader",
    "SessionTerminated",
    "SipError",
    "SubscriptionTerminated",
    "TlsFailure",
    "TlsFailureReason",
]


class SipError(Exception):
    """The root: catches everything that a peer, the network or the stack can do to an operation."""


class MalformedMessage(SipError):
    """A peer's bytes are not the SIP they claim to be.

    :ivar reason: what is wrong, in words short enough for a Warning or a log line.
    :ivar status: the status to answer a request with (400, 413, 414, 416, 505, 513).
    :ivar offset: where in the message, in octets from its start, when known.
    """

    def __init__(self, reason: str, status: int = 400, offset: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.offset = offset

    def __str__(self) -> str:
        where = "" if self.offset is None else f" (at octet {self.offset})"
        return f"{self.reason}{where}"


class MalformedDescription(SipError, ValueError):
    """Octets are not the session description that they claim to be (RFC 8866).

    :ivar reason: what is wrong.
    :ivar line: in which line, counted from 1; 0 where it is no line's fault.
    """

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.reason = reason
        self.line = line


class MalformedDocument(SipError, ValueError):
    """Octets are not the document that they claim to be: presence, dialogs, messages waiting, a part of a message.

    :ivar reason: what is wrong.
    :ivar line: in which line, counted from 1; 0 where it is not known.
    """

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.reason = reason
        self.line = line


class InvalidOperation(SipError):
    """The caller asked for something that the present state does not allow.

    :ivar retryable: True when the same call can succeed later without anything being changed.
    """

    def __init__(self, message: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class AlreadyResponded(InvalidOperation):
    """The request has had its final response, or can have none any more."""


class RestrictedHeader(InvalidOperation, ValueError):
    """An application tried to set a header field that only the stack may set (RFC 3261 section 8.1.1).

    :ivar name: the field's name.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"the header field {name} is set by the stack and cannot be supplied")
        self.name = name


class RequestFailed(SipError):
    """The request was answered with a final response of 300 or above.

    :ivar response: the whole response.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.status} {response.reason}")
        self.response = response

    @property
    def status(self) -> int:
        """The status code of the response."""
        return self.response.status


class AuthenticationFailed(RequestFailed):
    """The peer wants to know who we are, and was not told, or not to its satisfaction (401, 407); or its own proof in
    a 2xx is wrong (RFC 3261 section 22).

    :ivar realm: the realm of the challenge, the first where there are several; empty where none could be read.
    :ivar why: why it came to nothing, in words, of each realm. No secret is among them.
    """

    def __init__(self, response: Response, realm: str, why: str) -> None:
        super().__init__(response)
        self.realm = realm
        self.why = why

    def __str__(self) -> str:
        return f"{self.response.status} {self.response.reason}: {self.why}" if self.why else super().__str__()


class OperationTimeout(SipError):
    """No final response came in time: what RFC 3261 section 8.1.3.1 treats as a 408."""


class ConnectionFailure(SipError):
    """No flow to the peer could be had, or the one in use was lost: RFC 3261 section 8.1.3.1 treats it as a 503.

    :ivar retry_after: in how many seconds the peer is dialled again, when it was not dialled now because that had just
        failed; 0 when the next request dials.
    """

    retry_after: float = 0.0


class PeerOverloaded(ConnectionFailure):
    """The peer has asked for fewer requests, or for none until some time has passed (RFC 3261 section 21.5.4, RFC
    7339): the request was not sent.

    :ivar retry_after: in how many seconds it may be tried again; 0 when at any time, with some luck.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TlsFailureReason(enum.Enum):
    """Why a TLS connection was refused, by us or by the peer."""

    LOCAL_CERTIFICATE_NOT_FOUND = "our own certificate or private key is missing or cannot be read"
    LOCAL_CERTIFICATE_EXPIRED = "our own certificate has expired or is not yet valid"
    UNTRUSTED_REMOTE_CERTIFICATE = "the peer's certificate is not signed by a trusted authority"
    INCORRECT_NAME_IN_REMOTE_CERTIFICATE = "the peer's certificate does not prove the expected name"
    CERTIFICATE_EXPIRED = "the peer's certificate has expired"
    CERTIFICATE_NOT_YET_VALID = "the peer's certificate is not valid yet"
    REMOTE_CERTIFICATE_REVOKED = "the peer's certificate has been revoked"
    REVOCATION_UNKNOWN = "whether the peer's certificate has been revoked cannot be told"
    REMOTE_CERTIFICATE_INVALID_USAGE = "the peer's certificate may not be used for SIP"
    REMOTE_CERTIFICATE_WEAK = "the peer's certificate uses a key or signature that is too weak"
    REMOTE_CERTIFICATE_INVALID = "the peer's certificate is malformed or breaks a rule of X.509"
    REMOTE_CERTIFICATE_MISSING = "the peer presented no certificate"
    REMOTE_KEY_NOT_PINNED = "the peer's key is not one that is pinned for its name"
    REMOTE_KEY_CHANGED = "the peer's key is not the one that it showed first"
    KEY_NOT_REMEMBERED = "the peer is new, and its key could not be remembered"
    LOCAL_CERTIFICATE_REJECTED = "the peer refused our certificate"
    CONNECTION_AUTHORIZATION_FAILED = "the peer proved who it is, and is not allowed to connect"
    NO_COMMON_APPLICATION_PROTOCOL = "the two sides do not speak the same protocol over TLS"
    AUTHORIZATION_DENIED = "our own application did not authorise the connection"
    TLS_NEGOTIATION_FAILURE = "the two sides could not agree on a TLS connection"
    HANDSHAKE_TIMEOUT = "the peer did not finish the handshake in time"
    REMOTE_DISCONNECTED = "the peer closed the connection during the handshake"
    OTHER = "another TLS failure"


class TlsFailure(ConnectionFailure):
    """A TLS connection failed to be, or to stay, trusted.

    :ivar reason: which :class:`TlsFailureReason`.
    :ivar peer: whom we dialled, or who called: a name or ``host:port``.
    :ivar certificate: the peer's certificate, where one was seen.
    :ivar alert: the TLS alert that was received or sent, by its RFC 8446 name, if any.
    :ivar errors: the OpenSSL errors behind it, as (library, function, reason).
    """

    def __init__(
        self,
        reason: TlsFailureReason,
        peer: str = "",
        certificate: Certificate | None = None,
        *,
        detail: str = "",
        alert: str = "",
        errors: tuple[tuple[str, str, str], ...] = (),
    ) -> None:
        words = reason.value if not detail else f"{reason.value}: {detail}"
        super().__init__(f"{words} [{peer}]" if peer else words)
        self.reason = reason
        self.peer = peer
        self.certificate = certificate
        self.detail = detail
        self.alert = alert
        self.errors = errors


class MessageNotDelivered(SipError):
    """A report says that a message of ours did not reach its recipient, or that nobody is told (RFC 5438).

    :ivar report: the report.
    """

    def __init__(self, report: Imdn) -> None:
        super().__init__(f"the report on message {report.message_id} is {report.disposition.value[1]!r}")
        self.report = report


class OutboxFailed(SipError):
    """The file of an outbox cannot be used, or could not keep what it was given: nothing was accepted.

    :ivar cause: the database's or the operating system's own error.
    """

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.cause = cause


class OfferRejected(SipError):
    """Raised by an application that cannot live with an offer, or with an answer, of its peer (RFC 3261 sections
    13.3.1.3 and 14.2).

    :ivar status: what a request with the offer is answered with: 488 unless said otherwise.
    :ivar warning: why, in words: what goes into a Warning field.
    """

    def __init__(self, words: str = "the session description is not acceptable", status: int = 488) -> None:
        """
        :param words: why, for the peer's Warning and our log.
        :param status: 400 to 699.
        :raises ValueError: for another status.
        """
        if not 400 <= status <= 699:
            raise ValueError(f"an offer is refused with a status from 400 to 699, not {status}")
        super().__init__(words)
        self.status = status
        self.warning = words


class SessionTerminated(SipError):
    """The session ended, by whatever cause, before the operation came to its own end.

    :ivar reason: the name of the :class:`~sip_p2p.endpoint.session.states.SignalingTransitionReason`.
    """

    def __init__(self, message: str, reason: str = "NONE") -> None:
        super().__init__(message)
        self.reason = reason


class SubscriptionTerminated(SipError):
    """A subscription of ours ended, and not because we wanted it to.

    :ivar reason: the reason that the notifier gave (RFC 6665 section 4.1.3): ``rejected``, ``noresource``, ...; empty
        where it gave none.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class EndpointTerminated(SipError):
    """The operation came after, or was overtaken by, ``terminate``."""


class NotListening(SipError):
    """There is no such listener, or it has stopped already."""


class ListenFailed(SipError):
    """A listener could not be started.

    :ivar cause: the operating system's or Twisted's own error.
    """

    def __init__(self, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.cause = cause
