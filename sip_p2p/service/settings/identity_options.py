"""Options of who callers are said to be beyond what their connections prove: asserted identities (RFC 3325) and signed
ones (RFC 8224)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from twisted.python import usage

from sip_p2p.endpoint.identity.fetching import FetchRules, NotFetched
from sip_p2p.endpoint.identity.signer import PassportSigner
from sip_p2p.endpoint.identity.trust_domain import TrustDomain
from sip_p2p.endpoint.identity.verifier import POLICIES, PassportVerifier
from sip_p2p.observe.text import printable
from sip_p2p.service.settings.command_line import CommandOptions, file_path
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.https import HttpsPolicy, system_authorities

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.transport.trust.credential import Credential

__all__ = ["IdentityOptions"]


class IdentityOptions(CommandOptions):
    """Whose word for others' identities counts, and what is made of signatures."""

    optParameters: ClassVar = [
        [
            "passport-url",
            None,
            None,
            "the https URL at which others can fetch your certificate: requests are signed with its key (RFC 8224)",
        ],
        [
            "passports",
            None,
            None,
            "what to make of peers' signatures: off (as without it), check (look, and let everybody through) or "
            "require (refuse who has no good one)",
        ],
    ]

    repeatable: ClassVar[tuple[str, ...]] = ("passport-host", "passport-trust", "trusted-identity")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.trusted_identities: list[str] = []
        self.passport_hosts: list[str] = []
        self.passport_trust: list[str] = []

    def opt_trusted_identity(self, name: str) -> None:
        """name that a peer has to prove for its P-Asserted-Identity to count, and to be sent yours; may be given
        several times"""
        try:
            TrustDomain([name])
        except ValueError as error:
            raise usage.UsageError(f"--trusted-identity {printable(str(error), 256)}") from None
        self.trusted_identities.append(name)

    def opt_passport_host(self, name: str) -> None:
        """host from which certificates of signers are fetched; any public one without it; may be given several times"""
        try:
            host, _ = FetchRules(private_addresses=True).check(f"https://{name}/")
        except NotFetched:
            host = ""
        if host.lower() != name.lower():
            raise usage.UsageError(f"--passport-host {printable(name, 128)} is no host: give its name alone")
        self.passport_hosts.append(name)

    def opt_passport_trust(self, path: str) -> None:
        """PEM file with the certificates of authorities that vouch for signers; may be given several times"""
        self.passport_trust.append(file_path("passport-trust", path))

    def postOptions(self) -> None:
        """Check what can be checked without touching a file.

        :raises UsageError: for a value that is none, and for options that contradict each other.
        """
        super().postOptions()  # type: ignore[no-untyped-call]
        policy = self["passports"]
        if policy is not None and policy not in POLICIES:
            raise usage.UsageError(f"--passports {printable(policy)} is neither off nor check nor require")
        if policy in (None, "off"):
            for name, given in (("passport-trust", self.passport_trust), ("passport-host", self.passport_hosts)):
                if given:
                    raise usage.UsageError(f"--{name} is given, and --passports does not say to look at signatures")
        elif not self.passport_trust:
            raise usage.UsageError(f"--passports {policy} needs --passport-trust: which authority vouches for signers?")
        url = self["passport-url"]
        if url is not None:
            try:
                FetchRules(private_addresses=True).check(url)
            except NotFetched as error:
                raise usage.UsageError(f"--passport-url {printable(url, 128)}: {error}") from None

    def passport_signer(self, credential: Callable[[], Credential | None]) -> PassportSigner | None:
        """What signs; None where nothing is to be signed.

        :param credential: gives the certificate and key of the moment.
        :raises ValueError: there is none, or its key is of another kind.
        """
        url = self["passport-url"]
        return None if url is None else PassportSigner(credential, url)

    def passport_verifier(self) -> PassportVerifier | None:
        """What judges; None where nothing is looked at.

        :raises ValueError: a file cannot be used; the message names it.
        """
        policy = self["passports"]
        if policy in (None, "off"):
            return None
        return PassportVerifier(
            TrustAnchors.from_files(*self.passport_trust),
            policy=policy,
            https=HttpsPolicy(system_authorities()),
            rules=FetchRules(hosts=self.passport_hosts or None),
        )
