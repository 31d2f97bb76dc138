"""What went wrong, in words for the person at the terminal: each failure with what to do about it and its exit code.

The table of TLS failures is complete: a test holds it against :class:`~sip_p2p.errors.TlsFailureReason`. It speaks from
our side: *we*, *our certificate*; the other side is *the peer*.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from sip_p2p.errors import (
    AuthenticationFailed,
    ConnectionFailure,
    EndpointTerminated,
    ListenFailed,
    MalformedMessage,
    OfferRejected,
    OperationTimeout,
    RequestFailed,
    SessionTerminated,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.observe.text import printable
from sip_p2p.sip.diagnostics import parse_warnings

if TYPE_CHECKING:
    from sip_p2p.sip.message import Response

__all__ = ["TLS_WORDS", "ExitCode", "Words", "call_exit_code", "exit_code", "explain", "explain_call"]


class ExitCode(enum.IntEnum):
    """What the console script tells the script that called it."""

    OK = 0
    USAGE = 1
    REFUSED = 2
    TIMEOUT = 3
    CONNECTION = 4
    TLS = 5
    BUSY = 6
    NO_ANSWER = 7
    LOST = 8
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """What the code stands for, as ``--help`` says it."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "it worked: a final response of 2xx; a call was answered, and ended by hanging up",
    ExitCode.USAGE: "wrong usage, or wrong input such as a file that cannot be read",
    ExitCode.REFUSED: "the peer answered with a final response of 300 or above",
    ExitCode.TIMEOUT: "no final response in time",
    ExitCode.CONNECTION: "no connection could be had, or it was lost",
    ExitCode.TLS: "one of the two sides refused the other's certificate, or TLS failed",
    ExitCode.BUSY: "call: the peer is busy",
    ExitCode.NO_ANSWER: "call: it rang and nobody answered, or the peer cannot be had at the moment",
    ExitCode.LOST: "it stood and was then lost: a call that neither side hung up; what the peer has ended",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
}


@final
class Words:
    """One kind of failure.

    :ivar what: what is the matter, a sentence.
    :ivar remedy: what to do about it, a sentence.
    """

    __slots__ = ("remedy", "what")

    def __init__(self, what: str, remedy: str) -> None:
        self.what = what
        self.remedy = remedy


TLS_WORDS: dict[TlsFailureReason, Words] = {
    TlsFailureReason.LOCAL_CERTIFICATE_NOT_FOUND: Words(
        "Our own certificate or private key is missing or cannot be read.",
        "Give the PEM file with --certificate, and its key with --private-key if it is in a file of its own; "
        "'sip-p2p pki DIR NAME' makes both.",
    ),
    TlsFailureReason.LOCAL_CERTIFICATE_EXPIRED: Words(
        "Our own certificate has expired or is not valid yet.",
        "Renew it, and see that this machine's clock is right.",
    ),
    TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE: Words(
        "The peer's certificate was not issued by an authority that we trust.",
        "If the peer is who it should be, give the certificate of its authority with --trust, or its key with --pin.",
    ),
    TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE: Words(
        "The peer's certificate is trusted, but it is not for the name that we wanted to reach.",
        "Address the peer by the name in its certificate, or have a certificate issued whose subject alternative names "
        "hold that name (URI:sip:NAME or DNS:NAME); wildcards and the common name do not count.",
    ),
    TlsFailureReason.CERTIFICATE_EXPIRED: Words(
        "The peer's certificate has expired.",
        "Ask the peer to renew it; if it is new, see that this machine's clock is right.",
    ),
    TlsFailureReason.CERTIFICATE_NOT_YET_VALID: Words(
        "The peer's certificate is not valid yet.",
        "See that both machines' clocks are right; otherwise wait until its validity begins.",
    ),
    TlsFailureReason.REMOTE_CERTIFICATE_REVOKED: Words(
        "The authority has revoked the peer's certificate.",
        "Do not talk to whoever presents it; ask the peer for its new certificate.",
    ),
    TlsFailureReason.REMOTE_CERTIFICATE_INVALID_USAGE: Words(
        "The peer's certificate may not be used for this side of a SIP connection.",
        "Have it issued with the key usages serverAuth and clientAuth (and, for SIP, id-kp-sipDomain), and not as an "
        "authority's certificate.",
    ),
    TlsFailureReason.REMOTE_CERTIFICATE_WEAK: Words(
        "The peer's certificate uses a key or a signature that is too weak.",
        "Have it issued with a P-256 key, or RSA of at least 2048 bits, and a SHA-256 signature.",
    ),
    TlsFailureReason.REMOTE_CERTIFICATE_INVALID: Words(
        "The peer's certificate is malformed or breaks a rule for certificates.",
        "Have it issued anew; 'openssl x509 -text' shows what stands in it.",
    ),
    TlsFailureReason.REMOTE_CERTIFICATE_MISSING: Words(
        "The peer presented no certificate, and without one nobody may connect.",
        "The peer has to be given a certificate of its own and has to present it when it connects.",
    ),
    TlsFailureReason.LOCAL_CERTIFICATE_REJECTED: Words(
        "The peer refused our certificate.",
        "See that the peer trusts the authority that issued it, that it is valid today, and that the peer allows the "
        "name in it; its log knows which of them it was.",
    ),
    TlsFailureReason.CONNECTION_AUTHORIZATION_FAILED: Words(
        "The peer proved who it is, and is not on the list of those who may talk to us.",
        "If it should be, add the name in its certificate with --allow.",
    ),
    TlsFailureReason.AUTHORIZATION_DENIED: Words(
        "The peer proved who it is, and our own application did not let the connection be.",
        "The application decides by its own rules (authorize=); its log knows, or it did not answer in time.",
    ),
    TlsFailureReason.REMOTE_KEY_NOT_PINNED: Words(
        "The peer's key is not one that is pinned for its name.",
        "If the peer has a new key and has told you so by another way, pin it as well, with --pin; otherwise somebody "
        "else may be there.",
    ),
    TlsFailureReason.REMOTE_KEY_CHANGED: Words(
        "The peer's key is not the one that it showed when we first met it.",
        "If the peer has told you by another way that its key is new, remove its line from the file of --first-use; "
        "otherwise somebody else may be there.",
    ),
    TlsFailureReason.KEY_NOT_REMEMBERED: Words(
        "The peer is new to us, and its key could not be remembered, so it is not trusted.",
        "See that the file of --first-use can be written and that its disk is not full.",
    ),
    TlsFailureReason.REVOCATION_UNKNOWN: Words(
        "Nobody can tell whether the authority has revoked the peer's certificate.",
        "Fetch the authority's present revocation list for --crl, or see that the peer staples a fresh OCSP answer; "
        "--revocation soft lets such peers in.",
    ),
    TlsFailureReason.NO_COMMON_APPLICATION_PROTOCOL: Words(
        "The two sides do not speak the same protocol over TLS: one of them offers other names than sip/2.",
        "See that it is a SIP party that listens on this port, and not another service.",
    ),
    TlsFailureReason.TLS_NEGOTIATION_FAILURE: Words(
        "The two sides could not agree on a TLS connection.",
        "See that the other side speaks TLS 1.2 or newer on this port, and not clear text.",
    ),
    TlsFailureReason.HANDSHAKE_TIMEOUT: Words(
        "The peer accepted the connection and did not finish the TLS handshake in time.",
        "See that TLS is spoken on this port, and that the peer is not overloaded.",
    ),
    TlsFailureReason.REMOTE_DISCONNECTED: Words(
        "The peer closed the connection during the TLS handshake.",
        "It may not speak TLS on this port, may not have accepted our certificate, or may be too busy; its log knows.",
    ),
    TlsFailureReason.OTHER: Words(
        "TLS failed for another reason.",
        "The details name the error that OpenSSL gave.",
    ),
}
"""Every reason of :class:`~sip_p2p.errors.TlsFailureReason` in plain words."""


def exit_code(failure: BaseException) -> ExitCode:
    """The code with which the console script ends after *failure*."""
    if isinstance(failure, RequestFailed):
        return ExitCode.REFUSED
    if isinstance(failure, OperationTimeout):
        return ExitCode.TIMEOUT
    if isinstance(failure, TlsFailure):
        return ExitCode.TLS
    if isinstance(failure, ConnectionFailure | EndpointTerminated | ListenFailed):
        return ExitCode.CONNECTION
    return ExitCode.USAGE


def call_exit_code(failure: BaseException, rang: bool) -> ExitCode:
    """The same after a call that *failure* ended before it was answered.

    :param rang: whether the peer was told of it.
    """
    if isinstance(failure, RequestFailed):
        return _CALL_CODES.get(failure.status, ExitCode.REFUSED)
    if isinstance(failure, OperationTimeout) and rang:
        return ExitCode.NO_ANSWER
    if isinstance(failure, OfferRejected):
        return ExitCode.REFUSED
    if isinstance(failure, SessionTerminated):
        return ExitCode.LOST
    return exit_code(failure)


_CALL_CODES = {
    408: ExitCode.NO_ANSWER,
    480: ExitCode.NO_ANSWER,
    486: ExitCode.BUSY,
    487: ExitCode.NO_ANSWER,
    600: ExitCode.BUSY,
}


def explain_call(failure: BaseException, rang: bool, first_hop: str = "peer") -> Words:
    """The same as :func:`explain` for a call that *failure* ended before it was answered.

    :param rang: whether the peer was told of it.
    """
    if not isinstance(failure, OperationTimeout):
        return explain(failure, first_hop)
    if rang:
        return Words("It rang, and nobody answered.", "--max-ring waits longer.")
    return Words("No answer to the call came in time.", "The peer may be overloaded or may have dropped the request.")


def explain(failure: BaseException, first_hop: str = "peer", patience: str = "") -> Words:
    """What happened and what to do about it. Text that came from a peer is made printable.

    :param first_hop: what a connection that could not be had was to: the peer itself, or the proxy before it.
    :param patience: the option that waits longer for an answer, for whoever has given it one.
    """
    if isinstance(failure, TlsFailure):
        words = TLS_WORDS[failure.reason]
        details = [printable(detail) for detail in (failure.detail,) if detail]
        if failure.alert and failure.alert not in failure.detail:
            details.append(f"TLS alert {printable(failure.alert)}")
        if failure.peer:
            details.append(f"with {printable(failure.peer)}")
        return Words(words.what + (f" ({', '.join(details)})" if details else ""), words.remedy)
    if isinstance(failure, RequestFailed):
        response = failure.response
        said = _warnings(response) or _wanted(failure)
        what = f"The peer answered {response.status} {printable(response.reason)}"
        return Words(f"{what}: {said.rstrip('.')}." if said else f"{what}.", _refusal_remedy(failure))
    if isinstance(failure, OperationTimeout):
        return Words(
            "No final response came in time.",
            "The peer may be overloaded or may have dropped the request"
            + (f"; {patience} waits longer." if patience else "."),
        )
    if isinstance(failure, ConnectionFailure):
        return Words(
            f"No connection to the {first_hop}: {printable(str(failure)).rstrip('.')}.",
            f"See that the {first_hop} runs, that its name and port are right, and that no firewall stands in between.",
        )
    return Words(f"{printable(str(failure) or type(failure).__name__)}.", "")


def _wanted(failure: RequestFailed) -> str:
    """Of which realm a password was wanted, and what became of that; empty where none was."""
    return printable(failure.why) if isinstance(failure, AuthenticationFailed) else ""


def _warnings(response: Response) -> str:
    """What the Warning fields of an answer say to people; what is none is left out."""
    said: list[str] = []
    for value in response.headers.get_all("Warning"):
        try:
            said += [each.text for each in parse_warnings(value)]
        except MalformedMessage:
            continue
    return printable("; ".join(said))


def _refusal_remedy(failure: RequestFailed) -> str:
    """What a status suggests; empty where the phrase says all."""
    headers = failure.response.headers
    if failure.status == 405 and "Allow" in headers:
        return f"The peer takes these methods: {printable(', '.join(headers.get_all('Allow')))}."
    if failure.status == 415 and "Accept" in headers:
        return f"The peer takes these content types: {printable(', '.join(headers.get_all('Accept')))}."
    if failure.status == 404:
        return "Nobody of that name is there: see that the part of the URI before the @ is right."
    if failure.status in (401, 407):
        return "It asks for a password: --credentials names a file with it, for this realm and for who asks."
    if "Retry-After" in headers:
        return f"It asks to try again after {printable(headers['Retry-After'])} seconds."
    return ""
