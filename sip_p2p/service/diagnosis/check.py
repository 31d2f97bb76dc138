"""``twistd sip-p2p --check``: everything that a start would need is looked at and explained; nothing is bound or sent.

Each finding is one line: ``ok`` for what is as it should be, ``note`` for what may surprise, ``WRONG`` for what has to
be changed, with what to change. The service would start, and its peers could accept it, exactly if nothing is wrong.
"""

from __future__ import annotations

import datetime
import math
import os
from typing import TYPE_CHECKING

from cryptography import x509
from twisted.internet.task import Clock

from sip_p2p.errors import TlsFailure
from sip_p2p.service.applications.loader import BUILT_IN, ApplicationError, look_at
from sip_p2p.service.diagnosis.check_identity import check_identity
from sip_p2p.service.diagnosis.check_lives import check_lives
from sip_p2p.service.diagnosis.check_options import can_write, check_config, check_files, explain_options, exposed_key
from sip_p2p.service.diagnosis.check_parts import check_parts
from sip_p2p.service.diagnosis.findings import Report
from sip_p2p.service.diagnosis.listener_check import of_usage
from sip_p2p.service.process.state import INSTANCE_FILE
from sip_p2p.service.settings.options import SECURE_PREFIXES, description_prefix, description_values
from sip_p2p.service.words import explain
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.transport.dns.family import AddressFamilyHint
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.listening.descriptions import listening_endpoint
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import TrustPolicy
from sip_p2p.transport.trust.key_usage import KeyUsagePolicy
from sip_p2p.transport.trust.stack import Trust, TrustStack

if TYPE_CHECKING:
    from sip_p2p.service.applications.base import Application
    from sip_p2p.service.settings.options import Options

__all__ = ["another_name", "check"]

_SOON = 30


def check(options: Options, now: datetime.datetime | None = None) -> Report:
    """Look at everything that *options* name.

    :param now: the moment to judge certificates at, aware; the present by default.
    """
    moment = datetime.datetime.now(datetime.UTC) if now is None else now
    report = Report()
    report.findings.extend(explain_options(options))
    check_config(options, report)
    report.ok("uri", f"{options.uri}: peers that dial it look for {options.uri.host if options.uri else ''}")
    credential = trust = None
    if options["certificate"] is None and options.is_clear_text:
        report.note("certificate", "none, as all is clear text: nobody can know who you are, and anybody can listen")
    else:
        credential = _check_certificate(options, report, moment)
        anchors = _check_trust(options, credential, report, moment)
        trust = _check_other_trust(options, anchors, report)
        _check_policy(options, report)
        _check_senders(options, report)
    _check_listening(options, credential, trust, report)
    _check_proxy(options, report)
    _check_finding(options, report)
    _check_flows(options, report)
    _check_limits(options, report)
    _check_application(options, report)
    check_identity(options, credential, report)
    check_lives(options, report)
    _check_state(options, report)
    check_files(options, report)
    check_parts(options, report)
    return report


def _check_certificate(options: Options, report: Report, moment: datetime.datetime) -> Credential | None:
    path = options["certificate"]
    if path is None:
        report.wrong("certificate", "--certificate is missing: without one nobody can know who you are")
        return None
    try:
        credential = Credential.from_files(path, options["private-key"])
        credential.check_validity(moment)
    except TlsFailure as failure:
        report.wrong("certificate", failure.detail or explain(failure).what)
        return None
    days = math.floor((credential.expires - moment) / datetime.timedelta(days=1))
    text = f"{path} and its key fit, and it is valid for {days} more days, until {credential.expires:%Y-%m-%d}"
    (report.ok if days >= _SOON else report.note)("certificate", text if days >= _SOON else f"{text}: renew it soon")
    _check_names(options, credential, report)
    exposed = exposed_key(options)
    if exposed:
        report.note("private key", exposed)
    for finding in of_usage(credential, KeyUsagePolicy.parse(options["key-usage"] or "sip-either")):
        report.add(finding)
    return credential


def _check_names(options: Options, credential: Credential, report: Report) -> None:
    text = another_name(options, credential)
    if not text:
        report.ok("names", f"the certificate proves {', '.join(credential.identities.identities)}")
    elif options.proxy is not None and not options.listen:
        report.note("names", f"{text}: the proxy has to vouch for you")
    else:
        domain = options.uri.host if options.uri is not None else ""
        report.wrong("names", f"{text}: peers will refuse it; have one issued for {domain}")


def another_name(options: Options, credential: Credential) -> str:
    """What is to be said of a certificate that does not prove the domain of ``--uri``; empty where it does."""
    domain = options.uri.host if options.uri is not None else ""
    if credential.identities.matches(domain) is not None:
        return ""
    names = ", ".join(credential.identities.identities) or "no name at all"
    return f"the certificate proves {names} and not {domain}, which is where --uri says that you are"


def _check_trust(
    options: Options, credential: Credential | None, report: Report, moment: datetime.datetime
) -> TrustAnchors | None:
    if not options.trust:
        if not options.knows_peers:
            report.wrong("trust", "--trust is missing: which authority vouches for your peers? Give its PEM file")
        return None
    try:
        anchors = TrustAnchors.from_files(*options.trust)
    except ValueError as error:
        report.wrong("trust", str(error))
        return None
    valid = [each for each in anchors.certificates if each.not_valid_after_utc > moment]
    for each in anchors.certificates:
        if each not in valid:
            report.note(
                "trust", f"{_name(each)} expired on {each.not_valid_after_utc:%Y-%m-%d}, and vouches for nobody"
            )
    if not valid:
        report.wrong("trust", "every authority has expired: get their new certificates")
        return None
    report.ok("trust", f"peers have to be vouched for by {', '.join(map(_name, valid))}")
    if credential is not None and not _leads_to(credential, valid):
        report.note(
            "trust",
            "your own certificate was issued by none of these: peers need to trust another authority than you do",
        )
    return anchors


def _check_other_trust(options: Options, anchors: TrustAnchors | None, report: Report) -> TrustStack | None:
    """Pins, first use, revocation and certificates by name: whatever else is read from files or decides about peers."""
    try:
        trusts = options.trusts()
        arguments = options.tls_arguments()
    except ValueError as error:
        report.wrong("files", str(error))
        return None
    if options.pins:
        report.ok(
            "pin", f"only with their pinned keys: {', '.join(sorted({each.split('=')[0] for each in options.pins}))}"
        )
    if options["first-use"] is not None:
        whom = ", ".join(options.first_use_for) or "everybody"
        report.note("first-use", f"{whom} is believed at the first meeting, and remembered in {options['first-use']}")
    revocation = arguments.get("revocation")
    if revocation is not None and revocation.lists:
        words = "refused" if options["revocation"] == "hard" else "let in"
        report.ok("crl", f"{len(revocation.lists)} lists are looked at; whom none of them knows is {words}")
    elif revocation is not None and options.crls:
        report.wrong("crl", f"there is no list in {', '.join(options.crls)}")
    if options["required-eku"] is not None:
        report.ok("required-eku", f"a peer's certificate must list {options['required-eku']}")
    if arguments.get("reload_interval") == 0:
        report.note("reload-interval", "files that change are read anew only when the process gets SIGHUP")
    names = list(arguments["server_certificates"])
    if names:
        report.ok("server-certificate", f"who asks for one of these is shown its own: {', '.join(names)}")
    given: list[TrustAnchors | Trust] = [*trusts] if anchors is None else [anchors, *trusts]
    return TrustStack.of(given) if given else None


def _check_senders(options: Options, report: Report) -> None:
    if options.from_policy.allows_any:
        report.note("from", "every peer may send under any From, whatever its certificate proves")
    elif options.trusted_proxies:
        report.note("from", f"may send under any From: {', '.join(sorted(options.from_policy.trusted_proxies))}")


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "an authority without a name"


def _leads_to(credential: Credential, authorities: list[x509.Certificate]) -> bool:
    last = credential.chain[-1] if credential.chain else credential.certificate
    return any(last.issuer == each.subject for each in authorities)


def _check_policy(options: Options, report: Report) -> None:
    policy = options.policy if options.policy is not None else TrustPolicy()
    if not options.listen:
        return
    if options.policy is None:
        report.note("allow", "only localhost may talk to you: name your peers with --allow")
    elif policy.allows_any:
        report.note("allow", "everybody may talk to you in whose certificate a trusted authority has signed")
    else:
        report.ok("allow", f"may talk to you: {policy}")


def _check_listening(options: Options, credential: Credential | None, trust: TrustStack | None, report: Report) -> None:
    if not options.listen:
        report.note("listen", "nowhere: nobody can connect to you, and you only send")
    settings = None
    if credential is not None and trust is not None:
        try:
            settings = TlsSettings(credential, trust, options.policy)
        except TlsFailure as failure:
            report.wrong("certificate", failure.detail)
            return
    for description in options.listen:
        if settings is None and description_prefix(description) in SECURE_PREFIXES:
            report.wrong("listen", f"{description} needs a certificate and an authority; see above")
            continue
        try:
            # Nothing is bound: the endpoint is made, and not told to listen.
            endpoint = listening_endpoint(Clock(), description, settings)
        except ValueError as error:
            report.wrong("listen", str(error))
            continue
        report.ok("listen", f"{description} is {endpoint.transport}; whether its port is free, the start will tell")
        if endpoint.transport not in ("TLS", "WSS"):
            report.note("listen", f"{description} is clear text: whoever connects there proves nothing")
        elif description_values(description).get("mutual") == "no":
            report.note("listen", f"{description} lets in who shows no certificate, and so proves nothing")


def _check_proxy(options: Options, report: Report) -> None:
    if options.proxy is None:
        return
    target = options.proxy.target
    where = f"{target.host}:{target.port} over {target.transport.value}"
    if target.transport.is_secure:
        report.ok("proxy", f"everything goes through {where}, which has to prove {target.name}")
    else:
        report.note("proxy", f"everything goes through {where} in clear text: whoever is there, or listens, reads it")


def _check_finding(options: Options, report: Report) -> None:
    servers = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in options.dns_servers)
    report.ok("dns", f"names are looked up at {servers or 'the name servers of this machine'}")
    if options.addresses:
        report.note(
            "resolve", f"not looked up are {', '.join(sorted(options.addresses))}: --resolve says where they are"
        )
    family = AddressFamilyHint.named(options["family"])
    (report.ok if family is AddressFamilyHint.ALL else report.note)("family", f"addresses: {family.value}")


def _check_flows(options: Options, report: Report) -> None:
    arguments = options.manager_arguments()
    keep_alive = arguments["keep_alive"]
    if keep_alive is None:
        report.note("keep-alive", "off: a peer or a firewall that vanishes is noticed late")
    elif not keep_alive.interval:
        report.ok("keep-alive", "connections that you open are pinged where the peer asks for it")
    else:
        report.ok("keep-alive", f"connections that you open are pinged every {keep_alive.interval:g} s")
    size, linger = arguments["pool_size"], arguments["pool_linger"]
    many = "one for each request" if size is None else "one" if size == 1 else f"up to {size}, used in turn"
    kept = "" if linger is None else f", kept for {linger:g} s after its last use"
    report.ok("pool", f"connections to one server: {many}{kept}")
    if options["reconnect"] == "eager" and options.proxy is None:
        report.note("reconnect", "eager has no meaning without --proxy: there is nothing to be connected to")


def _check_limits(options: Options, report: Report) -> None:
    changed = []
    for prefix, given, usual in (("", options.limits, Limits()), ("message.", options.limits.message, MessageLimits())):
        changed += [
            f"{prefix}{name} is {getattr(given, name):g} (usually {getattr(usual, name):g})"
            for name in sorted(usual.__slots__)
            if name != "message" or prefix
            if getattr(given, name) != getattr(usual, name)
        ]
    if changed:
        report.note("limit", "; ".join(changed))
    else:
        report.ok("limit", "all bounds are the usual ones; --help-limits lists them")


def _check_application(options: Options, report: Report) -> None:
    name = options["application"]
    try:
        application = look_at(options)
    except ApplicationError as error:
        report.wrong("application", str(error))
        return
    beside = "".join(f", {method}" for method in application.methods)
    report.ok("application", f"{name} takes MESSAGE{beside}{_documented(application)}")


def _documented(application: Application) -> str:
    text = (type(application).__doc__ or "").strip().partition("\n")[0]
    return f"; it says of itself: {text}" if text and type(application) not in BUILT_IN.values() else ""


def _check_state(options: Options, report: Report) -> None:
    state = options["state"]
    if options["trace-with-secrets"]:
        report.note("trace", "credentials and bodies are kept: whoever reads the file can impersonate you")
    if state is None:
        report.note("state", "no --state: after each start you are a new instance to your peers")
    elif (os.path.exists(state) and not os.path.isdir(state)) or not can_write(os.path.join(state, INSTANCE_FILE)):
        report.wrong("state", f"{state} is not a folder that can be written to")
    else:
        report.ok("state", f"the instance id is kept in {state}")
