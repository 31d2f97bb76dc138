"""The command line: options that the service and the command share, those of the service, and one line for each
mistake.

``twistd`` would print its own usage before the line, and ``twist`` leaves with another code; under either of them the
line goes to standard error by itself and the exit code is 1. How peers are known and found stands in
:mod:`.peer_options`, what every command line of ours has in :mod:`.command_line`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.python import usage

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.endpoint.from_policy import FromPolicy
from sip_p2p.errors import MalformedMessage, TlsFailure
from sip_p2p.observe.text import printable
from sip_p2p.service.process.logs import ServiceLog, take_over
from sip_p2p.service.settings import registration_options as registering
from sip_p2p.service.settings.application_options import ApplicationOptions
from sip_p2p.service.settings.authentication_options import AUTHENTICATE_USERS, CREDENTIALS
from sip_p2p.service.settings.command_line import CommandOptions, file_path, seconds
from sip_p2p.service.settings.config import ConfigOptions
from sip_p2p.service.settings.export_options import ExportOptions
from sip_p2p.service.settings.http_options import HttpOptions
from sip_p2p.service.settings.identity_options import IdentityOptions
from sip_p2p.service.settings.life_options import LifeOptions
from sip_p2p.service.settings.observe_options import ObserveOptions
from sip_p2p.service.settings.peer_options import PeerOptions
from sip_p2p.service.settings.run_options import RunOptions
from sip_p2p.service.settings.session_options import RELIABLE, SESSION_TIMER, SESSION_TIMER_LEAST, answer_options
from sip_p2p.service.settings.webhook_options import WebhookOptions
from sip_p2p.sip.dialog.answer_options import AnswerOptions
from sip_p2p.sip.uri import SipUri
from sip_p2p.transport.keep_alive import KeepAlive
from sip_p2p.transport.proxy import ProxyConnector
from sip_p2p.transport.tls.server_names import ServerNames
from sip_p2p.transport.trust.credential import Credential
from sip_p2p.transport.trust.identity import TrustPolicy, is_ip_address, normalise_name

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "SECURE_PREFIXES",
    "CommandOptions",
    "Options",
    "PartyOptions",
    "description_prefix",
    "description_values",
    "owner_uri",
    "seconds",
]

SECURE_PREFIXES = ("tls", "sips", "wss")
"""What endpoint descriptions with TLS begin with."""

_DESCRIPTION_PART = re.compile(r"(?:[^:\\]|\\.)+", re.DOTALL)
_QUOTED = re.compile(r"\\(.)", re.DOTALL)


def owner_uri(text: str) -> SipUri:
    """The URI of the party itself: ``sip:user@domain``.

    :raises UsageError: when it is another kind of URI, or names a port.
    """
    try:
        uri = SipUri.parse(text)
    except (MalformedMessage, ValueError) as error:
        raise usage.UsageError(
            f"--uri {printable(text)} is not a SIP URI such as sip:alice@a.example ({printable(str(error))})"
        ) from None
    if uri.port is not None:
        raise usage.UsageError(
            f"--uri {printable(text)} names a port: the URI says who you are, --listen says where you are found"
        )
    return uri


class PartyOptions(PeerOptions):
    """Who the party is, whom it trusts, and through whom it sends: the same for the service and for the command."""

    optParameters: ClassVar = [
        ["uri", "u", None, "who you are, as others address you: sip:alice@a.example"],
        ["certificate", "c", None, "PEM file with your certificate and its chain; it may hold the private key too"],
        ["private-key", "k", None, "PEM file with the private key, if it is not in the certificate's file"],
        [
            "proxy",
            "p",
            None,
            "send everything through this first hop: HOST:PORT (TLS), or tcp:HOST:PORT, udp:HOST:PORT",
        ],
        ["proxy-name", None, None, "the name that the proxy's certificate must prove, if it is not its host"],
        CREDENTIALS,
    ]

    repeatable: ClassVar[tuple[str, ...]] = ("resolve", "trust")

    def __init__(self) -> None:
        super().__init__()
        self.trust: list[str] = []
        self.resolve: list[str] = []
        self.uri: SipUri | None = None
        self.proxy: ProxyConnector | None = None
        self.addresses: dict[str, tuple[str, int | None]] = {}

    def opt_trust(self, path: str) -> None:
        """PEM file with the certificates of authorities that may vouch for your peers; may be given several times"""
        self.trust.append(file_path("trust", path))

    opt_t = opt_trust

    def opt_resolve(self, entry: str) -> None:
        """NAME=HOST:PORT: where NAME is found, without asking DNS; its certificate must still prove NAME; may be given
        several times"""
        self.resolve.append(entry)

    def postOptions(self) -> None:
        """Check what can be checked without touching a file.

        :raises UsageError: for a value that is none, and for options that contradict each other.
        """
        super().postOptions()
        if self["uri"] is None:
            raise usage.UsageError("--uri is missing: who are you? For example --uri sip:alice@a.example")
        self.uri = owner_uri(self["uri"])
        for name in ("certificate", "private-key", "credentials"):
            if self[name] is not None:
                self[name] = file_path(name, self[name])
        if self["private-key"] is not None and self["certificate"] is None:
            raise usage.UsageError("--private-key is given without --certificate: a key alone proves nothing")
        self._check_proxy()
        self._check_resolve()

    def _check_proxy(self) -> None:
        text, name = self["proxy"], self["proxy-name"]
        if text is None:
            if name is not None:
                raise usage.UsageError("--proxy-name is given without --proxy: there is no proxy to check the name of")
            return
        try:
            if name is not None:
                normalise_name(name)
            self.proxy = ProxyConnector.parse(text, name)
        except ValueError as error:
            raise usage.UsageError(f"--proxy: {printable(str(error))}") from None

    def _check_resolve(self) -> None:
        for entry in self.resolve:
            name, equals, where = entry.partition("=")
            host, port = _host_and_port(where)
            try:
                if not equals or not host or is_ip_address(normalise_name(name)):
                    raise ValueError(entry)
                normalise_name(host)
            except ValueError:
                raise usage.UsageError(
                    f"--resolve {printable(entry)} is not NAME=HOST or NAME=HOST:PORT, such as b.example=127.0.0.1:5061"
                ) from None
            self.addresses[normalise_name(name)] = (host, port)

    def take_from_descriptions(self, descriptions: Sequence[str]) -> None:
        """Without --certificate, what the first ``tls:`` description says of us holds for dialling as well."""
        if self["certificate"] is not None:
            return
        for description in descriptions:
            values = description_values(description)
            if description_prefix(description) in SECURE_PREFIXES and values.get("certKey"):
                self["certificate"] = file_path("listen", values["certKey"])
                if values.get("privateKey"):
                    self["private-key"] = file_path("listen", values["privateKey"])
                if values.get("trustRoots") and not self.trust:
                    self.trust.append(file_path("listen", values["trustRoots"]))
                return


def _host_and_port(text: str) -> tuple[str, int | None]:
    """The parts of ``host``, ``host:port`` or ``[v6]:port``; an empty host for anything else."""
    host, _, port = text[1:].partition("]") if text.startswith("[") else text.partition(":")
    port = port.removeprefix(":") if text.startswith("[") else port
    if not port:
        return ("", None) if text.endswith(":") else (host, None)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        return "", None
    return host, int(port)


class Options(
    ConfigOptions,
    ApplicationOptions,
    ObserveOptions,
    RunOptions,
    ExportOptions,
    HttpOptions,
    WebhookOptions,
    IdentityOptions,
    LifeOptions,
    PartyOptions,
):
    """The options of ``twistd sip-p2p``."""

    synopsis = "Usage: twistd [options of twistd] sip-p2p --uri URI [options]"
    longdesc = (
        "Run a SIP party: it listens where it is told to, answers, and sends directly or through a proxy. Without "
        "--listen it only sends. 'sip-p2p pki DIR NAME' makes certificates to begin with, and --check explains what is "
        "wrong with a command line and leaves."
    )

    optParameters: ClassVar = [
        [
            "application",
            "a",
            "log",
            "what to do with what arrives: log (one JSON line an event on standard output), echo (the same, each text "
            "goes back to its sender, and every session is accepted), answer (in one way), forward (--forward-to "
            "gets it), control (the HTTP API decides), webhook (--webhook decides), or your own class as "
            "package.module:Class",
        ],
        ["trace", None, None, "write what passes to this file as JSON lines, without credentials and bodies"],
        ["drain", None, "5", "how many seconds a stop waits for what is in flight, the end of sessions included"],
        ["finish-sessions", None, "0", "for how many seconds a stop lets sessions go on before it ends them"],
        [
            "max-ring",
            None,
            None,
            "after how many seconds a session is refused (480) that nobody decided on; 600 without it",
        ],
        RELIABLE,
        SESSION_TIMER,
        SESSION_TIMER_LEAST,
        AUTHENTICATE_USERS,
        registering.REGISTER,
        registering.REGISTER_EXPIRES,
        ["advertise", None, None, "the host under which peers are to reach you, in Via and Contact"],
        ["keep-alive", None, None, "seconds between pings on the connections that you open, or off; 120 without it"],
        ["pool-size", None, None, "how many connections to one server are used in turn, or none for one each request"],
        ["pool-linger", None, None, "for how many seconds a connection that you opened is kept after its last use"],
        ["reconnect", None, "lazy", "lazy: connect when there is something to send; eager: keep the proxy connected"],
        ["state", None, None, "folder for what must survive a restart: the instance id"],
    ]

    optFlags: ClassVar = [
        ["allow-any-authenticated", None, "let everybody talk to you whose certificate a trusted authority has issued"],
        [
            "allow-any-from",
            None,
            "let every peer send under any From, whatever its certificate proves; who reads From can be fooled then",
        ],
        [
            "first-use-incoming",
            None,
            "let peers that dial you have any allowed name of which --first-use knows no key",
        ],
        ["overload-control", None, "tell peers that ask how much you can take, and send less to those that tell you"],
        ["trace-with-secrets", None, "let the trace keep credentials and bodies; whoever reads it can impersonate you"],
        ["check", None, "look at everything, explain it, bind nothing, and leave: 0 if it would work, 1 if not"],
    ]

    for_command_line: ClassVar[tuple[str, ...]] = ("check",)

    repeatable: ClassVar[tuple[str, ...]] = ("allow", "listen", "redirect-to", "server-certificate", "trusted-proxy")

    def __init__(self) -> None:
        super().__init__()
        self.allow: list[str] = []
        self.listen: list[str] = []
        self.trusted_proxies: list[str] = []
        self.server_certificates: list[str] = []
        self.from_policy = FromPolicy()
        self.policy: TrustPolicy | None = None
        self.redirect_to: list[str] = []
        self.drain = 0.0
        self.finish_sessions = 0.0
        self.answers = AnswerOptions()
        self.registrar: SipUri | None = None
        self.register_expires = 0
        self.log: ServiceLog | None = None

    def opt_allow(self, name: str) -> None:
        """name that a peer has to prove to talk to you: b.example, or .example for all below; may be given several
        times"""
        self.allow.append(name)

    def opt_listen(self, description: str) -> None:
        """where to listen: tls:port=5061, tcp:5060, udp:5060 or another description; may be given several times"""
        self.listen.append(description)

    opt_l = opt_listen

    def opt_trusted_proxy(self, name: str) -> None:
        """name that a proxy has to prove to send you requests of others, under any From; your own --proxy may always;
        may be given several times"""
        self.trusted_proxies.append(name)

    def opt_redirect_to(self, target: str) -> None:
        """URI where a stop sends those who would begin a session with you meanwhile; may be given several times, the
        best first"""
        try:
            self.redirect_to.append(str(to_sip_uri(target)))
        except ValueError as error:
            raise usage.UsageError(f"--redirect-to: {printable(str(error))}") from None

    def opt_server_certificate(self, entry: str) -> None:
        """NAME=FILE: PEM file with the certificate and key for callers that ask for NAME; FILE alone stands for every
        name in it, a folder for all in it; may be given several times"""
        self.server_certificates.append(entry)

    @property
    def is_clear_text(self) -> bool:
        """Whether every place that is named is in clear text by its own words, and at least one is named."""
        secure = [description_prefix(description) in SECURE_PREFIXES for description in self.listen]
        if self.proxy is not None:
            secure.append(self.proxy.target.transport.is_secure)
        elif self.registrar is not None:
            secure.append(not registering.is_registered_in_clear_text(self.registrar))
        return bool(secure) and not any(secure)

    @property
    def is_daemon(self) -> bool:
        """Whether ``twistd`` is about to leave the terminal, or the parent of this worker has."""
        if self.seat is not None and self.seat.is_daemon:
            return True
        return self.parent is not None and "nodaemon" in self.parent and not self.parent["nodaemon"]

    @property
    def logs_to_file(self) -> bool:
        """Whether ``twistd`` keeps its log somewhere else than on the terminal."""
        return self.is_daemon or (self.parent is not None and self.parent.get("logfile") not in (None, "", "-"))

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read *options*; with ``--check``, report and leave.

        :raises UsageError: for a mistake, where the caller handles it.
        :raises SystemExit: for a mistake under ``twistd`` or ``twist``, with its one line; and after ``--check``.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            if self.parent is None:
                raise
            raise SystemExit(f"sip-p2p: {error}") from None
        self.log = take_over(self.parent, is_json=self["log-format"] == "json")
        if self["check"]:
            from sip_p2p.service.diagnosis.check import check

            report = check(self)
            print(report.text)
            raise SystemExit(0 if report.passed else 1)

    def postOptions(self) -> None:
        """Check what can be checked without touching a file.

        :raises UsageError: for a value that is none, and for options that contradict each other.
        """
        super().postOptions()
        if self["first-use-incoming"] and self["first-use"] is None:
            raise usage.UsageError("--first-use-incoming is given without --first-use: where are keys remembered?")
        self.drain = seconds("drain", self["drain"])
        self.finish_sessions = seconds("finish-sessions", self["finish-sessions"])
        self.answers = answer_options(self)
        if self.uri is not None:
            self.registrar = registering.registrar_of(self, self.uri)
        self.register_expires = registering.registration_seconds(self)
        self._check_flows()
        for name in ("trace", "state", "authenticate-users"):
            if self[name] is not None:
                self[name] = file_path(name, self[name])
        if self["trace-with-secrets"] and self["trace"] is None:
            raise usage.UsageError("--trace-with-secrets is given without --trace: there is no trace")
        if self.allow and self["allow-any-authenticated"]:
            raise usage.UsageError("--allow and --allow-any-authenticated contradict each other: choose one of them")
        for description in self.listen:
            if not description.strip():
                raise usage.UsageError("--listen is empty: give a description such as tls:port=5061")
            if self.listen.count(description) > 1:
                raise usage.UsageError(f"--listen {printable(description)} is given twice")
        self.take_from_descriptions(self.listen)
        if self.is_clear_text and self["certificate"] is None and (self.allow or self["allow-any-authenticated"]):
            raise usage.UsageError(
                "--allow and --allow-any-authenticated need TLS: nobody proves a name in clear text, and all that "
                "--listen and --proxy name is clear text"
            )
        if self.is_clear_text and self["certificate"] is None and self["insecure-tls-key-log"] is not None:
            raise usage.UsageError(
                "--insecure-tls-key-log needs TLS: all that --listen and --proxy name is clear text, and has no keys"
            )
        if self["allow-any-authenticated"]:
            self.policy = TrustPolicy.any_authenticated()
        elif self.allow:
            try:
                self.policy = TrustPolicy.parse(self.allow)
            except ValueError as error:
                text = str(error).replace("TrustPolicy.any_authenticated()", "--allow-any-authenticated")
                raise usage.UsageError(f"--allow: {printable(text)}") from None

    def _check_flows(self) -> None:
        if self["reconnect"] not in ("lazy", "eager"):
            raise usage.UsageError(f"--reconnect {printable(self['reconnect'])} is neither lazy nor eager")
        try:
            if self["advertise"] is not None:
                self["advertise"] = normalise_name(self["advertise"])
        except ValueError as error:
            raise usage.UsageError(f"--advertise: {printable(str(error))}") from None
        if self["allow-any-from"] and self.trusted_proxies:
            raise usage.UsageError("--allow-any-from trusts everybody: --trusted-proxy has no meaning beside it")
        try:
            self.from_policy = FromPolicy.any_from() if self["allow-any-from"] else FromPolicy(self.trusted_proxies)
        except ValueError as error:
            raise usage.UsageError(f"--trusted-proxy: {printable(str(error))}") from None
        self._keep_alive()
        self._pool_size()
        if self["pool-linger"] is not None:
            seconds("pool-linger", self["pool-linger"])

    def _keep_alive(self) -> KeepAlive | None:
        text = self["keep-alive"]
        if text is None:
            return KeepAlive()
        if text == "off":
            return None
        try:
            return KeepAlive(seconds("keep-alive", text))
        except ValueError:
            raise usage.UsageError(f"--keep-alive {printable(text)} is neither off, 0, nor 5 seconds or more") from None

    def _pool_size(self) -> int | None:
        text = self["pool-size"]
        if text in (None, "none"):
            return 1 if text is None else None
        if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 4 and int(text) > 0):
            raise usage.UsageError(f"--pool-size {printable(text)} is neither none nor a number from 1 to 9999")
        return int(text)

    def manager_arguments(self) -> dict[str, Any]:
        """What every connection manager is made with, but for what stands in files."""
        return super().manager_arguments() | {
            "advertise": self["advertise"],
            "keep_alive": self._keep_alive(),
            "overload_control": bool(self["overload-control"]),
            "pool_linger": None if self["pool-linger"] is None else seconds("pool-linger", self["pool-linger"]),
            "pool_size": self._pool_size(),
            "reconnect": self["reconnect"],
            "limits": self.limits.replace(drain_timeout=self.drain),
        }

    def tls_arguments(self) -> dict[str, Any]:
        """What a connection manager with TLS is made with besides; files are read.

        :raises ValueError: one cannot be used; the message names it.
        """
        return super().tls_arguments() | {
            "from_policy": self.from_policy,
            "server_certificates": _server_certificates(self.server_certificates),
        }


def _server_certificates(entries: list[str]) -> ServerNames:
    """The certificates by name that *entries* ask for.

    :raises ValueError: a file cannot be used, or does not prove the name that it is to stand for.
    """
    if not any("=" in entry for entry in entries):
        return ServerNames.from_files(*(file_path("server-certificate", entry) for entry in entries))
    found: dict[str, Credential] = {}
    for entry in entries:
        name, equals, path = entry.partition("=")
        if not equals:
            found.update(ServerNames.from_files(file_path("server-certificate", entry)))
            continue
        try:
            credential = Credential.from_files(file_path("server-certificate", path))
        except TlsFailure as failure:
            raise ValueError(failure.detail) from None
        if credential.identities.matches(name) is None:
            proved = ", ".join(credential.identities.identities) or "no name at all"
            raise ValueError(f"--server-certificate {entry}: the certificate proves {proved} and not {name}")
        found[name] = credential
    return ServerNames(found)


def description_prefix(description: str) -> str:
    """What stands before the first colon of an endpoint description, behind a ``haproxy:`` that it may begin with."""
    prefix, _, rest = description.partition(":")
    return description_prefix(rest) if prefix.lower() == "haproxy" and rest else prefix.lower()


def description_values(description: str) -> dict[str, str]:
    """The named values of an endpoint description, by Twisted's rules of quoting."""
    found: dict[str, str] = {}
    for part in _DESCRIPTION_PART.findall(description):
        name, equals, value = part.partition("=")
        if equals:
            found[name] = _QUOTED.sub(r"\1", value)
    return found
