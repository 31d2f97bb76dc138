"""``sip-p2p doctor URI|DESCRIPTION``: why a peer cannot be reached, or a listener not be used, and what to do about it.

For a URI it walks the way that a request takes and stops where it ends: our own certificate, DNS, the TCP connection,
the TLS handshake, OPTIONS and its answer. For an endpoint description it looks at files, names and the port, listens
there, and dials itself. What was seen is judged in :mod:`.diagnosis`; where the way ends without a reason, a probe of
:mod:`.probing` looks what speaks on that port.
"""

from __future__ import annotations

import datetime
import json
import os
from typing import TYPE_CHECKING, ClassVar, final

from twisted.internet.protocol import Protocol
from twisted.python import usage

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.errors import (
    AuthenticationFailed,
    ConnectionFailure,
    OperationTimeout,
    RequestFailed,
    SipError,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.observe.text import printable
from sip_p2p.service.commands.sending import LastHeard
from sip_p2p.service.diagnosis.check_options import exposed_key
from sip_p2p.service.diagnosis.diagnosis import (
    of_answer,
    of_clocks,
    of_connecting,
    of_contact,
    of_first_octets,
    of_names,
    of_request,
    of_tls,
)
from sip_p2p.service.diagnosis.findings import Finding, Verdict, worst
from sip_p2p.service.diagnosis.listener_check import examine_listener
from sip_p2p.service.diagnosis.probing import dial, first_octets, look_at_tls
from sip_p2p.service.party import make_party
from sip_p2p.service.settings.options import SECURE_PREFIXES, PartyOptions, description_prefix, seconds
from sip_p2p.service.words import ExitCode
from sip_p2p.sip.uri import SipUri
from sip_p2p.transport.target import Transport, target_of
from sip_p2p.transport.trust.credential import Credential
from sip_p2p.transport.trust.identity import PeerIdentities

if TYPE_CHECKING:
    from typing import TextIO

    from cryptography import x509
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.party import Party
    from sip_p2p.service.settings.command_line import Work
    from sip_p2p.sip.message import Response
    from sip_p2p.transport.target import Target

__all__ = ["LISTENING", "DoctorOptions", "diagnose", "show"]

LISTENING = frozenset("haproxy ssl systemd tcp tcp4 tcp6 tls udp unix ws wss".split())
"""What descriptions of listeners begin with."""

_MOST_ADDRESSES = 4
_SOON = 14
_COLOURS = {Verdict.OK: "32", Verdict.NOTE: "33", Verdict.WRONG: "31"}
_WITHOUT_A_REASON = frozenset(
    (
        TlsFailureReason.TLS_NEGOTIATION_FAILURE,
        TlsFailureReason.REMOTE_DISCONNECTED,
        TlsFailureReason.HANDSHAKE_TIMEOUT,
        TlsFailureReason.OTHER,
    )
)
_OPTIONS = (
    "OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/TCP doctor.invalid;branch=z9hG4bKdoctor;rport\r\nMax-Forwards: 0\r\n"
    "From: <sip:doctor@doctor.invalid>;tag=doctor\r\nTo: <sip:{host}>\r\nCall-ID: doctor\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


class DoctorOptions(PartyOptions):
    """The options of ``sip-p2p doctor``.

    :ivar target: the peer, where one was named.
    :ivar description: the listener, where one was.
    """

    synopsis = "Usage: sip-p2p doctor [options] URI|DESCRIPTION"
    longdesc = (
        "Find out what is wrong on the way to a peer (a URI), or with a listener of your own (a description such as "
        "tls:port=5061:certKey=keys/a.example.pem), and what to do about it. Without --uri you are who your "
        "certificate says. The exit code is that of the first thing that is wrong."
    )
    optParameters: ClassVar = [
        ["timeout", None, "10", "how many seconds each step may take"],
        ["advertise", None, None, "the host under which peers are to reach you, as the service has it"],
    ]
    optFlags: ClassVar = [["json", "j", "print the findings as one JSON object"]]

    def __init__(self) -> None:
        super().__init__()
        self.target: SipUri | None = None
        self.description = ""
        self.timeout = 0.0

    def parseArgs(self, *arguments: str) -> None:
        """Take the URI or the description."""
        if len(arguments) != 1:
            raise usage.UsageError("doctor needs one patient: sip-p2p doctor ... sip:bob@b.example, or tls:port=5061")
        if description_prefix(arguments[0]) in LISTENING:
            self.description = arguments[0]
            return
        try:
            self.target = to_sip_uri(arguments[0])
        except ValueError as error:
            raise usage.UsageError(printable(str(error))) from None

    def postOptions(self) -> None:
        """Find out who we are, where --uri does not say, and check the rest."""
        if self.description:
            self.take_from_descriptions([self.description])
        if self["uri"] is None:
            self["uri"] = f"sip:doctor@{_own_name(self['certificate'], self['private-key'])}"
        super().postOptions()
        self.timeout = seconds("timeout", self["timeout"], least=0.001)

    def begin(self, out: TextIO, err: TextIO) -> Work:
        """What is to be done in a reactor."""

        async def work(reactor: IReactorTime) -> ExitCode:
            return show(self, await diagnose(reactor, self), out)

        return work

    @property
    def is_clear_text(self) -> bool:
        """Whether what is to be looked at says by its own words that it is in clear text."""
        if self.description:
            return description_prefix(self.description) not in SECURE_PREFIXES
        if self.target is None or self.target.is_secure:
            return False
        if self.proxy is not None:
            return not self.proxy.target.transport.is_secure
        return (self.target.transport or "").lower() in ("tcp", "udp", "ws")


def _own_name(certificate: str | None, key: str | None) -> str:
    """The first name that our certificate proves; ``localhost`` where there is none to read."""
    try:
        identities = None if certificate is None else Credential.from_files(certificate, key).identities
    except TlsFailure:
        # What is wrong with it is a finding, and not a mistake on the command line.
        identities = None
    name = identities.identities[0] if identities is not None and identities.identities else "localhost"
    return f"[{name}]" if ":" in name else name


async def diagnose(reactor: IReactorTime, options: DoctorOptions) -> list[Finding]:
    """Look at what *options* name; nothing is left open afterwards."""
    if options.description:
        return await examine_listener(reactor, options, options.description)
    try:
        party = make_party(reactor, options, is_clear_text=options.is_clear_text, trust_dialed_peers=True)
    except usage.UsageError as error:
        remedy = "Give --certificate and --trust as the service has them; 'sip-p2p doctor tls:port=0' looks closer."
        return [Finding.wrong("own", "own-files", f"{error}.", remedy, ExitCode.USAGE)]
    try:
        return await _PeerExamination(reactor, options, party).run()
    finally:
        await party.manager.terminate()


@final
class _PeerExamination:
    """The way to one peer, step by step."""

    def __init__(self, reactor: IReactorTime, options: DoctorOptions, party: Party) -> None:
        self._reactor = reactor
        self._options = options
        self._party = party
        self._findings: list[Finding] = []
        self._heard = LastHeard()
        uri = options.target
        if uri is None:
            raise usage.UsageError("whom is it about?")
        self._uri: SipUri = uri
        # The handshake is a step of its own, which is to end before the request is given up.
        manager, limits = party.manager, party.manager.limits
        manager.limits = limits.replace(handshake_timeout=min(limits.handshake_timeout, options.timeout))

    @property
    def _now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    async def run(self) -> list[Finding]:
        """Every finding, in the order of the way."""
        self._own()
        try:
            hop = self._first_hop()
        except ValueError as error:
            return [*self._findings, Finding.wrong("dns", "uri", f"{error}.", "Correct the URI.", ExitCode.USAGE)]
        targets = await self._resolve(hop)
        reached = await self._connect(targets)
        if reached is not None:
            await self._ask(reached)
        return self._findings

    def _own(self) -> None:
        credential, options = self._party.credential, self._options
        if credential is None:
            self._findings.append(
                Finding.note("own", "clear-text", "Clear text: nobody is proved, and anybody can listen.")
            )
            return
        domain = options.uri.host if options.uri is not None else ""
        self._findings.append(of_names(domain, credential.identities, listens=False))
        exposed = exposed_key(options)
        if exposed:
            self._findings.append(Finding.note("own", "key-permissions", f"{exposed}."))
        if options["advertise"] is not None:
            contact = f"<sip:{options['advertise']}>"
            finding = of_contact(contact, credential.identities, is_ours=True)
            if finding is not None:
                self._findings.append(finding)

    def _first_hop(self) -> Target:
        proxy = self._options.proxy
        return proxy.target if proxy is not None else target_of(self._uri, self._party.endpoint.default_transport)

    async def _resolve(self, hop: Target) -> list[Target]:
        resolver = self._party.manager.resolver
        explain = getattr(resolver, "explain", None)
        said: list[str] = [] if explain is None else await explain(hop)
        try:
            targets = await resolver.resolve(hop)
        except ConnectionFailure as failure:
            self._findings += [Finding.ok("dns", "dns", line) for line in said if line != str(failure)]
            remedy = (
                f"See that {hop.host} is spelled right and has SRV, A or AAAA records "
                f"(`dig SRV _sips._tcp.{hop.host}`); --resolve {hop.host}=ADDRESS:PORT does without them, and "
                "--dns-server asks another server."
            )
            self._findings.append(Finding.wrong("dns", "no-address", f"{failure}.", remedy, ExitCode.CONNECTION))
            return []
        self._findings += [Finding.ok("dns", "dns", line) for line in said]
        return targets

    async def _connect(self, targets: list[Target]) -> Target | None:
        """The first target that takes a TCP connection; those before it are findings."""
        refused: list[Finding] = []
        for target in targets[:_MOST_ADDRESSES]:
            if target.transport is Transport.UDP:
                return target
            try:
                protocol = await dial(self._reactor, _hang_up(), target.host, target.port, self._options.timeout)
            except Exception as failure:
                refused.append(of_connecting(failure, target.host, target.port))
                continue
            protocol.transport.abortConnection()
            self._findings += [Finding.note(each.step, each.cause, each.what, each.remedy) for each in refused]
            where = f"[{target.host}]" if ":" in target.host else target.host
            self._findings.append(Finding.ok("connect", "connected", f"{where}:{target.port} takes TCP connections."))
            return target
        self._findings += refused
        return None

    async def _ask(self, target: Target) -> None:
        manager = self._party.manager
        manager.add_tap(self._heard)
        # Through a proxy the request finds its own way, with the Route that belongs to it.
        via = None if self._options.proxy is not None else target
        try:
            response = await self._party.endpoint.request(
                "OPTIONS", self._uri, via=via, timeout=self._patience, retry_after="never"
            )
        except TlsFailure as failure:
            await self._tls_failed(failure, target)
        except RequestFailed as failure:
            why = failure.why if isinstance(failure, AuthenticationFailed) else ""
            await self._answered(failure.response, target, why)
        except (SipError, ValueError) as failure:
            await self._not_answered(failure, target)
        else:
            await self._answered(response, target)

    @property
    def _patience(self) -> float:
        """Seconds for OPTIONS and its answer, and before that for the handshake that it waits for."""
        manager = self._party.manager
        return self._options.timeout + (manager.limits.handshake_timeout if self._party.credential is not None else 0)

    async def _tls_failed(self, failure: TlsFailure, target: Target) -> None:
        if failure.reason in _WITHOUT_A_REASON:
            octets = _OPTIONS.format(host=self._uri.domain).encode("ascii", "replace")
            found = of_first_octets(await self._look(target, octets), asked_in_tls=True)
            if found is not None:
                self._findings.append(found)
                return
        self._findings.append(of_tls(failure, target.name, self._now, _identities_of(failure.certificate)))

    async def _not_answered(self, failure: BaseException, target: Target) -> None:
        lost = isinstance(failure, ConnectionFailure | OperationTimeout)
        if lost and target.transport in (Transport.TCP, Transport.WS):
            try:
                look = await look_at_tls(self._reactor, target.host, target.port, target.name, self._options.timeout)
            except Exception:
                look = None
            found = of_first_octets(b"\x16\x03" if look is not None and look.is_tls else b"", asked_in_tls=False)
            if found is not None:
                self._findings.append(found)
                return
        self._findings += of_request(failure, self._uri.domain)

    async def _look(self, target: Target, said: bytes) -> bytes:
        try:
            return await first_octets(self._reactor, target.host, target.port, said, min(self._options.timeout, 2.0))
        except Exception:
            return b""

    async def _answered(self, response: Response, target: Target, why: str = "") -> None:
        peer = self._heard.peer
        if peer is not None and peer.is_verified:
            certificate = peer.certificate
            until = "" if certificate is None else f", valid until {certificate.not_valid_after_utc:%Y-%m-%d}"
            proved = ", ".join(peer.identities)
            self._findings.append(
                Finding.ok("tls", "verified", f"The peer proves {proved} over {peer.tls_version}{until}.")
            )
            if certificate is not None and certificate.not_valid_after_utc - self._now < datetime.timedelta(days=_SOON):
                self._findings.append(
                    Finding.note("tls", "expires-soon", "The peer's certificate expires soon.", "Ask it to renew it.")
                )
            await self._mutual(target)
        self._findings.append(of_answer(response, self._uri.domain, why))
        clocks = of_clocks(response, self._now)
        if clocks is not None:
            self._findings.append(clocks)
        contact = response.headers.get("Contact")
        if contact is not None and peer is not None and peer.is_verified:
            found = of_contact(contact, _identities_of(peer.certificate), is_ours=False)
            if found is not None:
                self._findings.append(found)

    async def _mutual(self, target: Target) -> None:
        try:
            look = await look_at_tls(self._reactor, target.host, target.port, target.name, self._options.timeout)
        except Exception:
            return
        if look.is_tls and look.admits_anybody:
            self._findings.append(
                Finding.note(
                    "tls",
                    "no-mutual-tls",
                    "The peer also takes connections without a certificate: it cannot know who calls.",
                    "If it should know, have it ask for certificates (mutual TLS).",
                )
            )


def _hang_up() -> Protocol:
    return Protocol()


def _identities_of(certificate: x509.Certificate | None) -> PeerIdentities | None:
    try:
        return None if certificate is None else PeerIdentities.from_certificate(certificate)
    except ValueError:
        return None


def show(options: DoctorOptions, findings: list[Finding], out: TextIO) -> ExitCode:
    """Tell the findings to a person, or as JSON; colours only where a person looks at a terminal.

    :returns: the exit code.
    """
    code = worst(findings)
    if options["json"]:
        shown = {
            "patient": options.description or str(options.target),
            "exit": int(code),
            "findings": [each.as_json() for each in findings],
        }
        print(json.dumps(shown), file=out)
        return code
    coloured = out.isatty() and "NO_COLOR" not in os.environ
    for each in findings:
        verdict = f"{each.verdict.value:<6}"
        if coloured:
            verdict = f"\x1b[{_COLOURS[each.verdict]}m{verdict}\x1b[0m"
        print(f"{verdict}{each.step + ':':<9}{each.what}", file=out)
        if each.remedy:
            print(f"{'':<15}{each.remedy}", file=out)
    wrong = sum(each.verdict is Verdict.WRONG for each in findings)
    print("Nothing is wrong." if not wrong else f"{wrong} thing{'s are' if wrong > 1 else ' is'} wrong.", file=out)
    return code
