"""From options to a party: the connection manager that they ask for, and the endpoint on it.

TLS is the rule. Clear text happens only where every place that the options name says so by itself (``tcp:``, ``udp:``,
``;transport=tcp``); anything else needs a certificate, and asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from twisted.logger import Logger
from twisted.python import usage

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.registration.sip_endpoint import SipEndpoint
from sip_p2p.endpoint.server_managers import RealTimeServerTcpConnectionManager, RealTimeServerTlsConnectionManager
from sip_p2p.errors import SipError, TlsFailure
from sip_p2p.observe.text import printable
from sip_p2p.service.settings.authentication_options import credentials_file, users_file
from sip_p2p.service.settings.identity_options import IdentityOptions
from sip_p2p.service.settings.life_options import LifeOptions
from sip_p2p.service.words import explain
from sip_p2p.transport.dns.dns_resolver import DnsResolver
from sip_p2p.transport.dns.resolver import StaticResolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.connection_request import Authorize
    from sip_p2p.service.passwords import CredentialsFile, UsersFile
    from sip_p2p.service.settings.options import PartyOptions
    from sip_p2p.sip.dialog.answer_options import AnswerOptions
    from sip_p2p.transport.dns.resolver import Resolver
    from sip_p2p.transport.trust.credential import Credential
    from sip_p2p.transport.trust.identity import TrustPolicy

__all__ = ["Party", "make_party"]

_log = Logger()


@final
class Party:
    """A connection manager and the one endpoint on it."""

    __slots__ = ("_files", "endpoint", "manager")

    def __init__(
        self,
        manager: RealTimeConnectionManager,
        endpoint: SipPeerToPeerEndpoint,
        files: tuple[CredentialsFile | UsersFile | None, ...] = (),
    ) -> None:
        """
        :param files: the names and passwords that it was made with.
        """
        self.manager = manager
        self.endpoint = endpoint
        self._files = tuple(file for file in files if file is not None)

    @property
    def credential(self) -> Credential | None:
        """The certificate that it proves itself with; None in clear text."""
        manager = self.manager
        return manager.credential if isinstance(manager, RealTimeServerTlsConnectionManager) else None

    def reload(self) -> list[str]:
        """Read every file anew that the options have named.

        :returns: what has changed, in words. What cannot be used changes nothing, and the log says why.
        """
        manager = self.manager
        changes = manager.reload() if isinstance(manager, RealTimeServerTlsConnectionManager) else []
        for file in self._files:
            try:
                if file.reload():
                    changes.append(f"the names and passwords in {file.path}")
            except (ValueError, OSError) as error:
                words = str(error) if isinstance(error, ValueError) else f"{file.path}: {error.strerror}"
                _log.error("what stands there is not used: {error}", error=printable(words, 512))
        return changes


def make_party(
    reactor: IReactorTime,
    options: PartyOptions,
    *,
    is_clear_text: bool,
    policy: TrustPolicy | None = None,
    trust_dialed_peers: bool = False,
    instance_id: str | None = None,
    authorize: Authorize | None = None,
    answers: AnswerOptions | None = None,
    key_log: Callable[[bytes], None] | None = None,
) -> Party:
    """Make what *options* describe; nothing is bound or dialled.

    :param is_clear_text: whether everything that the options name is in clear text.
    :param policy: who may talk to us; None means ``localhost``.
    :param trust_dialed_peers: whether whom we dial may send us requests.
    :param authorize: asked about each connection before it carries a message.
    :param answers: how sessions of peers are answered.
    :param key_log: is told the keys of every TLS connection.
    :raises UsageError: one line that says what is wrong, and what to do.
    """
    arguments = options.manager_arguments() | {"authorize": authorize}
    manager: RealTimeConnectionManager | None = None
    try:
        if options["certificate"] is None and is_clear_text:
            manager = RealTimeServerTcpConnectionManager(reactor, **arguments)
        else:
            _check_files(options)
            manager = RealTimeServerTlsConnectionManager(
                reactor,
                options["certificate"],
                options["private-key"],
                [*options.trust, *options.trusts()],
                policy,
                trust_dialed_peers=trust_dialed_peers,
                key_log=key_log,
                **arguments,
                **options.tls_arguments(),
            )
        manager.resolver = _resolver(reactor, options, manager)
        credentials, users = credentials_file(options), users_file(options)
        endpoint = _kind(options)(
            str(options.uri),
            manager,
            proxy=options.proxy,
            instance_id=instance_id,
            answer_options=answers,
            credentials=None if credentials is None else credentials.credentials,
            authenticator=None if users is None else users.authenticator,
            **_identity_arguments(options, manager),
            replaces_policy=options.replaces_policy if isinstance(options, LifeOptions) else None,
        )
        made, manager = manager, None
        return Party(made, endpoint, (credentials, users))
    except TlsFailure as failure:
        raise usage.UsageError(printable(failure.detail or explain(failure).what, 512)) from None
    except (SipError, ValueError, OSError) as error:
        raise usage.UsageError(printable(str(error), 512)) from None
    finally:
        if manager is not None:
            # It has begun to watch its files, and nobody else will end that.
            manager.terminate()


def _identity_arguments(options: PartyOptions, manager: RealTimeConnectionManager) -> dict[str, Any]:
    """What the service is told of asserted and signed identities; commands are told nothing of them."""
    if not isinstance(options, IdentityOptions):
        return {}
    return {
        "trusted_identities": options.trusted_identities,
        "passport_signer": options.passport_signer(lambda: getattr(manager, "credential", None)),
        "passport_verifier": options.passport_verifier(),
    }


def _kind(options: PartyOptions) -> type[SipPeerToPeerEndpoint]:
    """What the party is: one that registers has all that applications ask of the other."""
    registers = options.get("register") is not None
    return cast("type[SipPeerToPeerEndpoint]", SipEndpoint) if registers else SipPeerToPeerEndpoint


def _resolver(reactor: IReactorTime, options: PartyOptions, manager: RealTimeConnectionManager) -> Resolver:
    """Where names lead: the entries of --resolve first, then DNS."""
    resolver = manager.resolver
    if options.dns_servers:
        resolver = DnsResolver(
            reactor,
            name_servers=options.dns_servers,
            transports=manager.transports,
            family=manager.family,
            limits=manager.limits,
            dead_targets=manager.dead_targets,
        )
    return StaticResolver(options.addresses, resolver) if options.addresses else resolver


def _check_files(options: PartyOptions) -> None:
    if options["certificate"] is None:
        raise usage.UsageError(
            "--certificate is missing: without one nobody can know who you are ('sip-p2p pki DIR NAME' makes one); "
            "clear text has to be said, as in tcp:5060 or ;transport=tcp"
        )
    if not options.trust and not options.knows_peers:
        raise usage.UsageError(
            "--trust is missing: which authority vouches for your peers? Give the PEM file with its certificate, or "
            "know your peers by their keys, with --pin or --first-use"
        )
