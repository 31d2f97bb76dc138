"""Parties for the network in memory: endpoints that listen on mutual TLS with certificates of a private authority."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.pki import CertificateAuthority
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.uri import SipUri
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import TrustPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.testing.host import Host
    from sip_p2p.testing.network import Network

__all__ = ["Parties"]

_LISTEN = {"tls": "tls:port=5061", "tcp": "tcp:port=5060", "udp": "udp:port=5060"}


class Parties:
    """The parties of one network, and the authority that all of them trust.

    :ivar authority: the private authority; :meth:`sip_p2p.pki.CertificateAuthority.issue` makes further certificates.
    """

    def __init__(self, network: Network) -> None:
        self.authority = CertificateAuthority.create()
        self._network = network
        self._managers: dict[str, RealTimeServerTlsConnectionManager] = {}

    def add(
        self, uri: str, listen: str | Iterable[str] | None, manager_options: dict[str, Any], options: dict[str, Any]
    ) -> SipPeerToPeerEndpoint:
        """What :meth:`Network.party <sip_p2p.testing.Network.party>` makes."""
        domain = SipUri.parse(uri).host
        manager = self._managers.get(domain)
        if manager is not None:
            if listen is not None or manager_options:
                raise ValueError(f"{domain} has its connection manager already: its first party decides about that")
            return SipPeerToPeerEndpoint(uri, manager, **options)
        if listen is None:
            listen = _LISTEN[str(options.get("default_transport", "tls")).lower()]
        manager = self._managers[domain] = self._manager(domain, manager_options)
        endpoint = SipPeerToPeerEndpoint(uri, manager, **options)
        self._network.run_until(manager.listen_all([listen] if isinstance(listen, str) else listen))
        return endpoint

    def terminate(self) -> None:
        """Terminate every connection manager, letting time pass as needed."""
        for manager in self._managers.values():
            self._network.run_until(manager.terminate())

    def _manager(self, domain: str, options: dict[str, Any]) -> RealTimeServerTlsConnectionManager:
        if "certificate" not in options:
            options["certificate"] = Credential.from_pem(self.authority.issue(domain).pem)
        options.setdefault("trust", TrustAnchors.from_pem(self.authority.pem))
        options.setdefault("allow", TrustPolicy.any_authenticated())
        # The same tokens in every run, told apart by their domain.
        options.setdefault("tokens", CountingTokens(f"{domain}."))
        return RealTimeServerTlsConnectionManager(self._host(domain), **options)

    def _host(self, domain: str) -> Host:
        """The host that has this name or address, or a new one."""
        found = self._network.find(domain)
        if found is not None:
            return found
        if self._network.addresses_of(domain) == (domain,):
            return self._network.host(domain)
        return self._network.host(names=[domain])
