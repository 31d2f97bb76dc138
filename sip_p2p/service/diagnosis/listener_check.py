"""What ``sip-p2p doctor`` finds of a listener: its files, its names, its port, and whether it answers ourselves.

The listener is really started, on its own port, and stopped again; nobody else is dialled. It is open for nobody but us
meanwhile, unless the description says whom it is for.
"""

from __future__ import annotations

import datetime
import errno
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.python import usage

from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.errors import ListenFailed, RequestFailed, SipError, TlsFailure, TlsFailureReason
from sip_p2p.service.diagnosis.check_options import exposed_key
from sip_p2p.service.diagnosis.diagnosis import (
    of_contact,
    of_names,
)
from sip_p2p.service.diagnosis.findings import Finding
from sip_p2p.service.party import make_party
from sip_p2p.service.settings.options import description_values
from sip_p2p.service.words import ExitCode, exit_code, explain
from sip_p2p.transport.stream.websocket import WebSocketOptions
from sip_p2p.transport.target import Target
from sip_p2p.transport.trust.certificate_facts import Refused, certificate_facts
from sip_p2p.transport.trust.credential import Credential
from sip_p2p.transport.trust.identity import TrustPolicy
from sip_p2p.transport.trust.key_usage import KeyUsage, KeyUsagePolicy

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.listener import Listener
    from sip_p2p.service.diagnosis.doctor import DoctorOptions
    from sip_p2p.service.party import Party

__all__ = ["examine_listener", "of_credential", "of_listening", "of_usage"]

_SOON = 30
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


async def examine_listener(reactor: IReactorTime, options: DoctorOptions, description: str) -> list[Finding]:
    """Look at what *description* needs, listen there for a moment, and dial it."""
    findings: list[Finding] = []
    credential: Credential | None = None
    if not options.is_clear_text:
        findings, credential = _own_files(options)
        if credential is None:
            return findings
    else:
        findings.append(
            Finding.note("own", "clear-text", f"{description} is clear text: whoever connects there proves nothing.")
        )
    policy = None if credential is None else TrustPolicy(credential.identities.identities)
    try:
        party = make_party(reactor, options, is_clear_text=options.is_clear_text, policy=policy)
    except usage.UsageError as error:
        findings.append(Finding.wrong("own", "own-files", f"{error}.", "Correct the option.", ExitCode.USAGE))
        return findings
    party.manager.advertise = options["advertise"]
    try:
        listener = await party.manager.start_listening(description)
    except (ValueError, ListenFailed) as error:
        findings.append(of_listening(error))
        return findings
    else:
        host, port = listener.address
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        findings.append(Finding.ok("listen", "bound", f"{where} can be bound."))
        findings += await _dial_ourselves(options, party, listener)
        return findings
    finally:
        await party.manager.terminate()


def _own_files(options: DoctorOptions) -> tuple[list[Finding], Credential | None]:
    """What our certificate, its key and the authorities are like; no credential where they cannot be used."""
    path = options["certificate"]
    if path is None:
        remedy = "Give --certificate, or certKey= in the description; 'sip-p2p pki DIR NAME' makes one."
        return [Finding.wrong("own", "own-files", "No certificate is named.", remedy, ExitCode.USAGE)], None
    now = datetime.datetime.now(datetime.UTC)
    try:
        credential = Credential.from_files(path, options["private-key"])
    except TlsFailure as failure:
        what, remedy = failure.detail or explain(failure).what, explain(failure).remedy
        if failure.reason is TlsFailureReason.LOCAL_CERTIFICATE_EXPIRED:
            what = f"{what}; here it is {now:%Y-%m-%d %H:%M} UTC"
            return [Finding.wrong("own", "expired", f"{what}.", remedy, ExitCode.USAGE)], None
        return [Finding.wrong("own", "own-files", f"{what}.", remedy, ExitCode.USAGE)], None
    findings = [of_credential(credential, now)]
    if findings[0].code is not ExitCode.OK:
        return findings, None
    exposed = exposed_key(options)
    if exposed:
        findings.append(Finding.note("own", "key-permissions", f"{exposed}."))
    domain = options.uri.host if options.uri is not None else ""
    findings.append(of_names(domain, credential.identities, listens=True))
    findings += of_usage(credential, KeyUsagePolicy.parse(options["key-usage"] or "sip-either"))
    return findings, credential


def of_credential(credential: Credential, now: datetime.datetime) -> Finding:
    """Whether our own certificate is of today."""
    first, last = credential.certificate.not_valid_before_utc, credential.certificate.not_valid_after_utc
    dates = f"it is valid from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, and here it is {now:%Y-%m-%d %H:%M}"
    if now > last:
        return Finding.wrong(
            "own", "expired", f"Our certificate has expired: {dates}.", "Renew it, or set this machine's clock.",
            ExitCode.USAGE,
        )  # fmt: skip
    if now < first:
        return Finding.wrong(
            "own", "not-yet-valid", f"Our certificate is not valid yet: {dates}.",
            "A new certificate that begins tomorrow means a wrong clock: compare `date -u` with another machine.",
            ExitCode.USAGE,
        )  # fmt: skip
    days = (last - now).days
    if days < _SOON:
        return Finding.note("own", "expires-soon", f"Our certificate is valid for {days} more days.", "Renew it soon.")
    return Finding.ok("own", "own-files", f"Our certificate and its key fit; it is valid for {days} more days.")


def of_usage(credential: Credential, policy: KeyUsagePolicy) -> list[Finding]:
    """Whether our own certificate may be shown by the one who dials and by the one who is dialled (RFC 5924)."""
    facts = certificate_facts(credential.certificate.public_bytes(Encoding.DER))
    remedy = "Have it issued with serverAuth and clientAuth, or with id-kp-sipDomain."
    for each in (policy, KeyUsagePolicy.STRICT):
        for is_client, role in ((False, "who is dialled"), (True, "who dials")):
            try:
                KeyUsage(each).check(facts, peer_is_client=is_client)
            except Refused as refused:
                what = f"Our certificate is not meant for {role}: {refused.detail}."
                if each is policy:
                    return [Finding.wrong("own", "key-usage", what, remedy, ExitCode.USAGE)]
                return [Finding.note("own", "key-usage", f"{what} Strict peers will refuse it.", remedy)]
    return [Finding.ok("own", "key-usage", "Our certificate may be shown by who dials and by who is dialled.")]


_ERRORS = {
    errno.EADDRINUSE: (
        "port-taken",
        "Another program has the port. If it is the service itself, all is well: ask it with 'sip-p2p doctor sip:...'; "
        "otherwise `ss -ltnp` says who has it.",
    ),
    errno.EACCES: (
        "port-privileged",
        "Ports below 1024 are for root: take another one, or let twistd begin as root and give --uid.",
    ),
    errno.EADDRNOTAVAIL: (
        "no-such-address",
        "interface= names an address that this machine does not have: leave it out, or correct it.",
    ),
}
"""What the system says against a place to listen, and what to do about it."""


def of_listening(error: BaseException) -> Finding:
    """Why a place could not be listened on."""
    cause = error.cause if isinstance(error, ListenFailed) else error
    number = getattr(getattr(cause, "socketError", None), "errno", None)
    if number in _ERRORS:
        which, remedy = _ERRORS[number]
        return Finding.wrong("listen", which, f"{error}.", remedy, ExitCode.USAGE)
    remedy = (
        "The words of the system say why."
        if isinstance(error, ListenFailed)
        else "Correct the description; docs/cli.rst has its keys."
    )
    which = "listen" if isinstance(error, ListenFailed) else "description"
    return Finding.wrong("listen", which, f"{error}.", remedy, ExitCode.USAGE)


async def _dial_ourselves(options: DoctorOptions, party: Party, listener: Listener) -> list[Finding]:
    """Whether the listener answers who dials it from here, and what it calls itself."""
    findings: list[Finding] = []
    values = description_values(options.description)
    credential = party.credential
    if credential is not None:
        contact = of_contact(f"<{party.endpoint.contact_uri}>", credential.identities, is_ours=True)
        if contact is not None:
            findings.append(contact)
    if options.description.lower().startswith("haproxy:"):
        what = f"It is for the proxies {values.get('proxies', 'of this machine')} only, and was not dialled."
        remedy = "Ask the doctor for the URI that leads to the proxy."
        return [*findings, Finding.note("listen", "proxies", what, remedy)]
    party.manager.pool.websocket = WebSocketOptions(values.get("path", "/"))
    refused: list[TlsFailure] = []
    if isinstance(party.manager, RealTimeServerTlsConnectionManager):
        party.manager.tls_failed.subscribe(refused.append)
    host, port = listener.address
    name = None
    if credential is not None and listener.transport in ("TLS", "WSS"):
        # A description may name a certificate of its own; what is expected is what that one proves.
        key = values.get("certKey")
        shown = credential if key is None else Credential.from_files(key, values.get("privateKey"))
        name = next(iter(shown.identities.identities), None)
    target = Target(listener.transport.lower(), _WILDCARDS.get(host, host), port, name)
    try:
        await party.endpoint.request(
            "OPTIONS", party.endpoint.aor, via=target, timeout=options.timeout, retry_after="never"
        )
    except RequestFailed:
        # Whoever answers at all is reachable.
        findings.append(Finding.ok("listen", "answers", "It answers who dials it from here."))
    except TlsFailure as failure:
        findings.append(_of_own_refusal(refused[0] if refused else failure, options))
    except (SipError, ValueError) as failure:
        words = explain(failure)
        findings.append(
            Finding.wrong("listen", "silent", f"It is bound, and does not answer: {words.what}", words.remedy,
                          exit_code(failure))
        )  # fmt: skip
    else:
        findings.append(Finding.ok("listen", "answers", "It answers who dials it from here."))
    return findings


def _of_own_refusal(failure: TlsFailure, options: DoctorOptions) -> Finding:
    """What it means that a listener of ours refuses ourselves."""
    if failure.reason is TlsFailureReason.CONNECTION_AUTHORIZATION_FAILED:
        allow = description_values(options.description).get("allow", "nobody else")
        return Finding.ok("listen", "answers", f"It answers, and is open for {allow} only: we ourselves are refused.")
    if failure.reason is TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE:
        return Finding.note(
            "listen", "another-authority",
            "It answers, and trusts other authorities than the one that has issued our own certificate.",
            "That is as it should be where peers have another authority than we have; otherwise give that of our own "
            "with --trust as well.",
        )  # fmt: skip
    words = explain(failure)
    cause = failure.reason.name.lower().replace("_", "-")
    return Finding.wrong("listen", cause, f"It refuses ourselves: {words.what}", words.remedy, ExitCode.TLS)
