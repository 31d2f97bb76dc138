"""What is wrong, from what was seen: the judgements of ``sip-p2p doctor``, as values in and values out.

No input or output, no clock, no Twisted reactor: the doctor looks, and asks here what it means. Each :class:`.Finding`
says in plain words what is so and, where it ought to be otherwise, what to do about it. Its cause is a word for
programs; the words of a cause may change, the word does not.
"""

from __future__ import annotations

import datetime
import errno
import ipaddress
from typing import TYPE_CHECKING

from twisted.internet import error

from sip_p2p.errors import (
    AuthenticationFailed,
    ConnectionFailure,
    MalformedMessage,
    RequestFailed,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.service.diagnosis.findings import Finding
from sip_p2p.service.words import ExitCode, exit_code, explain
from sip_p2p.sip.dates import parse_date
from sip_p2p.sip.fields import parse_contact
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from cryptography import x509

    from sip_p2p.sip.message import Response
    from sip_p2p.transport.trust.identity import PeerIdentities

__all__ = [
    "of_answer",
    "of_clocks",
    "of_connecting",
    "of_contact",
    "of_first_octets",
    "of_names",
    "of_request",
    "of_tls",
]

_SKEW = datetime.timedelta(minutes=1)
_SUSPICIOUS = datetime.timedelta(days=2)


def of_connecting(failure: BaseException, host: str, port: int) -> Finding:
    """Why a TCP connection to an address could not be had."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    number = getattr(failure, "osError", None)
    if isinstance(failure, error.ConnectionRefusedError) or number == errno.ECONNREFUSED:
        return Finding.wrong(
            "connect",
            "refused",
            f"{where} refuses connections: the machine is there, and nothing listens on that port.",
            "See that the peer runs and listens on this port; or a firewall rejects it. 5061 is usual for TLS, 5060 "
            "for TCP.",
            ExitCode.CONNECTION,
        )
    if isinstance(failure, error.TimeoutError | error.TCPTimedOutError):
        return Finding.wrong(
            "connect",
            "timeout",
            f"{where} does not answer at all: no refusal, and no connection.",
            "That is what a firewall that drops packets looks like, or a machine that is off: see that TCP port "
            f"{port} is open all the way, and that the address is right.",
            ExitCode.CONNECTION,
        )
    if isinstance(failure, error.NoRouteError) or number in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return Finding.wrong(
            "connect",
            "no-route",
            f"There is no way from here to {where}.",
            "See that this machine has an address of that family and a route; --family v4 or v6 leaves the other out.",
            ExitCode.CONNECTION,
        )
    return Finding.wrong(
        "connect",
        "connection",
        f"No connection to {where}: {failure}.",
        "See that the peer runs, that its name and port are right, and that no firewall stands in between.",
        ExitCode.CONNECTION,
    )


_TLS_CAUSES = {
    TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE: "name-mismatch",
    TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE: "unknown-authority",
    TlsFailureReason.REMOTE_CERTIFICATE_INVALID_USAGE: "key-usage",
    TlsFailureReason.CERTIFICATE_EXPIRED: "expired",
    TlsFailureReason.CERTIFICATE_NOT_YET_VALID: "not-yet-valid",
    TlsFailureReason.LOCAL_CERTIFICATE_REJECTED: "own-certificate-refused",
    TlsFailureReason.NO_COMMON_APPLICATION_PROTOCOL: "alpn",
}


def of_tls(failure: TlsFailure, expected: str, now: datetime.datetime, proved: PeerIdentities | None = None) -> Finding:
    """Why the two sides did not come to a TLS connection that both trust.

    :param expected: the name that the peer had to prove.
    :param now: the moment by our own clock, aware.
    :param proved: what the peer's certificate proves, as far as one was seen.
    """
    words = explain(failure)
    cause = _TLS_CAUSES.get(failure.reason, failure.reason.name.lower().replace("_", "-"))
    what, remedy = words.what, words.remedy
    if failure.reason is TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE and proved is not None:
        names = ", ".join(proved.identities) or "no name at all"
        what = f"The certificate there proves {names}, and not {expected}."
        if proved.identities:
            remedy = (
                f"Address the peer as {proved.identities[0]} if that is who you mean (--resolve or DNS can say where "
                f"it is); otherwise the peer needs a certificate with {_san(expected)} among its subject alternative "
                "names. Wildcards and the common name do not count."
            )
    if failure.reason is TlsFailureReason.TLS_NEGOTIATION_FAILURE and failure.alert == "internal_error":
        remedy = f"{remedy} Some servers end every handshake in which ALPN offers sip/2: try --no-alpn."
    certificate = failure.certificate
    if certificate is not None and cause in ("expired", "not-yet-valid"):
        what = f"{what.rstrip('.')}: {_validity(certificate, now)}."
        if _is_near(certificate, now):
            remedy = f"{remedy} It is close enough for a clock that is wrong: compare `date -u` on both machines."
    return Finding.wrong("tls", cause, what, remedy, exit_code(failure))


def _validity(certificate: x509.Certificate, now: datetime.datetime) -> str:
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return f"valid from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, and here it is {now:%Y-%m-%d %H:%M} UTC"


def _is_near(certificate: x509.Certificate, now: datetime.datetime) -> bool:
    ends = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    return any(abs(now - each) < _SUSPICIOUS for each in ends)


def of_first_octets(octets: bytes, asked_in_tls: bool) -> Finding | None:
    """What speaks on a port where it was not what we thought; None where that tells nothing.

    :param octets: the first that came.
    :param asked_in_tls: whether TLS was expected there; they answered a request in clear text then, and a
        ``ClientHello`` otherwise.
    """
    if asked_in_tls and octets.startswith(b"SIP/2.0 "):
        return Finding.wrong(
            "tls",
            "clear-text-on-tls-port",
            "The port speaks SIP in clear text, and TLS was expected there.",
            "Use the peer's TLS port (5061 is usual) or have the peer switch TLS on; ;transport=tcp in the URI talks "
            "to it in clear text, where anybody can listen and nobody is proved.",
            ExitCode.TLS,
        )
    if not asked_in_tls and octets[:1] in (b"\x15", b"\x16") and octets[1:2] == b"\x03":
        return Finding.wrong(
            "sip",
            "tls-on-clear-text-port",
            "The port speaks TLS, and clear text was expected there.",
            "Leave ;transport=tcp out of the URI, or say ;transport=tls; and give --certificate and --trust.",
            ExitCode.CONNECTION,
        )
    for mark, name in (
        (b"HTTP/", "HTTP"),
        (b"SSH-", "SSH"),
        (b"220 ", "SMTP or FTP"),
        (b"+OK", "POP3"),
        (b"* OK", "IMAP"),
    ):
        if octets.startswith(mark):
            return Finding.wrong(
                "tls" if asked_in_tls else "sip",
                "another-service",
                f"Another service answers on this port: {name}, and not SIP.",
                "See which port the peer listens on for SIP: 5061 is usual for TLS, 5060 for TCP and UDP.",
                ExitCode.CONNECTION,
            )
    return None


def of_request(failure: BaseException, name: str) -> list[Finding]:
    """Why OPTIONS had no good answer, for failures that are not of TLS."""
    if isinstance(failure, RequestFailed):
        return [of_answer(failure.response, name, failure.why if isinstance(failure, AuthenticationFailed) else "")]
    words = explain(failure)
    cause = "no-answer" if not isinstance(failure, ConnectionFailure) else "connection"
    return [Finding.wrong("sip", cause, words.what, words.remedy, exit_code(failure))]


_PASSWORD = "It asks for a password: --credentials names a file with it, for its realm and for who asks."

_ANSWERS = {
    401: ("password", _PASSWORD),
    403: (
        "forbidden",
        "The peer knows who you are and does not want this: see that it allows your name (--allow there), and that the "
        "domain in your --uri is one that your certificate proves.",
    ),
    404: ("nobody", "The domain is served there, and nobody of that name: see that the part before the @ is right."),
    405: ("method", "The peer runs and does not take OPTIONS; other methods may work."),
    407: ("password", _PASSWORD),
    408: ("no-answer", "A proxy on the way had no answer from the peer: see that the peer itself runs."),
    420: ("extension", "It does not know an extension that was required."),
    480: ("unavailable", "The party is known there and not present now."),
    482: ("loop", "The request came by twice: see that no proxy on the way sends it back to where it came from."),
    483: ("loop", "The request went from proxy to proxy until its hops were used up: look for two that point at each "
                  "other."),
    503: ("overloaded", "The peer or a proxy before it is overloaded, or cannot reach what is behind it; try later."),
}  # fmt: skip


def of_answer(response: Response, name: str, why: str = "") -> Finding:
    """What the answer to OPTIONS says of the peer.

    :param why: for a password that was wanted, what became of that, by realm.
    """
    status = response.status
    said = f"{name} answers OPTIONS with {status} {response.reason}"
    if why:
        said += f": {why}"
    warning = response.headers.get("Warning")
    if warning:
        said += f", and says: {warning}"
    if status < 300:
        allow = ", ".join(response.headers.get_all("Allow"))
        return Finding.ok("sip", "answer", f"{said}{f'; it takes {allow}' if allow else ''}.")
    cause, remedy = _ANSWERS.get(status, ("answer", "The number and its words say what the peer holds against it."))
    if "Retry-After" in response.headers:
        remedy += f" It asks to try again after {response.headers['Retry-After']} seconds."
    if status == 405:
        # It is there, it understood, and it said no: nothing is wrong with the way to it.
        return Finding.note("sip", cause, f"{said}.", remedy)
    return Finding.wrong("sip", cause, f"{said}.", remedy, ExitCode.REFUSED)


def of_clocks(response: Response, now: datetime.datetime) -> Finding | None:
    """Whether the two clocks agree, as far as the Date of an answer tells (RFC 3261 section 20.17)."""
    value = response.headers.get("Date")
    if value is None:
        return None
    try:
        theirs = datetime.datetime.fromtimestamp(parse_date(value), datetime.UTC)
    except (MalformedMessage, ValueError, OverflowError):
        return Finding.note("clock", "date", f"The peer's Date cannot be read: {value}.")
    apart = abs(theirs - now)
    if apart <= _SKEW:
        return Finding.ok("clock", "clock", "The two clocks agree within a minute.")
    which = "ahead of" if theirs > now else "behind"
    return Finding.note(
        "clock",
        "clock",
        f"The peer's clock is {_span(apart)} {which} ours ({theirs:%Y-%m-%d %H:%M:%S} UTC there, "
        f"{now:%Y-%m-%d %H:%M:%S} UTC here).",
        "One of them is wrong: have both keep time by NTP, or certificates will be refused for their dates.",
    )


def _span(length: datetime.timedelta) -> str:
    seconds = length.total_seconds()
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"


def of_contact(value: str, identities: PeerIdentities | None, *, is_ours: bool) -> Finding | None:
    """Whether who follows a Contact can have the host in it proved (RFC 3261 section 12.2.1.1, RFC 5922).

    :param identities: what the certificate proves that stands behind it; None on clear text.
    :param is_ours: whether it is our own Contact.
    """
    if identities is None:
        return None
    try:
        listed = parse_contact(value) or []
        uris = [each.uri for each in listed]
    except MalformedMessage:
        return Finding.note("contact", "contact", f"A Contact cannot be read: {value}.")
    for uri in uris:
        if not isinstance(uri, SipUri) or "ob" in uri.params or "gr" in uri.params:
            continue
        if identities.matches(uri.host) is not None:
            continue
        whose = "Our" if is_ours else "The peer's"
        proved = ", ".join(identities.identities) or "no name"
        remedy = (
            f"Give --advertise a name that the certificate proves, or have {uri.host} added to its alternative names."
            if is_ours
            else f"Have the peer advertise a name that its certificate proves, or have {_san(uri.host)} added to the "
            "certificate's alternative names."
        )
        return Finding.note(
            "contact",
            "contact-not-certified",
            f"{whose} Contact names {uri.host}, and the certificate proves {proved}: who dials that Contact over TLS "
            "will refuse what it finds there.",
            remedy,
        )
    return Finding.ok(
        "contact", "contact", f"{'Our' if is_ours else 'The peer'} Contact names what the certificate proves."
    )


def _san(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"URI:sip:{host}"
    return f"IP:{host}"


def of_names(domain: str, identities: PeerIdentities, *, listens: bool) -> Finding:
    """Whether our own certificate proves the domain that we send under and are dialled by."""
    if identities.matches(domain) is not None:
        return Finding.ok("own", "own-name", f"Our certificate proves {domain}, which is where --uri says that we are.")
    proved = ", ".join(identities.identities) or "no name at all"
    consequence = "peers that dial it will refuse us, and peers" if listens else "peers"
    return Finding.wrong(
        "own",
        "own-name",
        f"Our certificate proves {proved}, and --uri says that we are at {domain}: {consequence} that check From "
        "answer 403.",
        f"Have a certificate issued for {domain}, or give the --uri that belongs to this one; behind a proxy, the "
        "proxy has to vouch for us.",
        ExitCode.USAGE,
    )
