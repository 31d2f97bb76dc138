"""The judgement on a peer: may this party, with this certificate, talk to us here?

RFC 5280 (what OpenSSL checks), RFC 5922 section 7 (SIP identities), RFC 5924 (key usage for SIP), RFC 9325 section 4.5
(strength). The judgement is passed twice, in OpenSSL's verify callback, so that a refusal reaches the peer as an
alert, and again when the handshake is complete, from what the connection itself then says of its peer. Both fail
closed: an exception anywhere is a refusal, and never leaves the callback.

What OpenSSL has against a certificate itself (its validity, its key, a critical extension that it does not know) is a
refusal. What it has against the chain only, no authority at the end above all, is left to the :class:`.TrustStack`: an
authority cannot vouch then, while a pinned key can. Where the stack knows only authorities, it is a refusal at once.

The alert is OpenSSL's: where it has a verification code of its own, the alert fits it; where a rule of ours refuses,
it sends ``internal_error``, because pyOpenSSL's verify callback cannot set a code.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from contextlib import suppress
from sys import intern
from typing import TYPE_CHECKING, final

from cryptography import x509
from OpenSSL.crypto import FILETYPE_ASN1, X509, dump_certificate
from OpenSSL.SSL import X509VerificationCodes
from twisted.logger import Logger

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.transport.trust.certificate_facts import UNREADABLE, CertificateFacts, Refused, certificate_facts
from sip_p2p.transport.trust.failure import is_of_chain, verification_reason, verification_words
from sip_p2p.transport.trust.identity import PeerIdentities, TrustPolicy
from sip_p2p.transport.trust.key_usage import KeyUsage
from sip_p2p.transport.trust.stack import Grant, Shown, TrustedBy, TrustGiven, TrustStack

if TYPE_CHECKING:
    from OpenSSL.SSL import Connection

__all__ = ["PeerCheck", "PeerRule", "VerifiedPeer"]

_log = Logger()

_DEFAULT_USAGE = KeyUsage()


@final
class VerifiedPeer:
    """What a completed and verified handshake has established.

    :ivar identities: as whom the peer is known; None for a peer without a certificate, which only a listener without
        mutual TLS accepts.
    :ivar matched: the identity by which the peer was accepted: the name that was dialled, or the one that the policy
        allows; the empty string without a certificate.
    :ivar tls_version: such as ``TLSv1.3``.
    :ivar cipher: the cipher suite, by OpenSSL's name.
    :ivar is_client: whether *we* are the client of this TLS connection.
    :ivar trusted_by: by what the peer is known; None without a certificate.
    :ivar is_for_callers: whether it was believed by a listener that believes others than those who are believed when we
        dial: what the peer has proved is enough to ask us, and not to be asked by us.
    :ivar handshake_seconds: how long it took from the TCP connection to here.
    :ivar was_resumed: whether the session of an earlier connection was taken up again.
    """

    __slots__ = (
        "_certificate", "cipher", "handshake_seconds", "identities", "is_client", "is_for_callers", "matched",
        "tls_version", "trusted_by", "was_resumed",
    )  # fmt: skip

    def __init__(
        self,
        identities: PeerIdentities | None,
        matched: str,
        certificate: bytes,
        tls_version: str,
        cipher: str,
        is_client: bool,
        trusted_by: TrustedBy | None = None,
    ) -> None:
        self.identities = identities
        self.matched = matched
        # As DER: parsed, it would take several kilobytes for each connection.
        self._certificate = certificate
        self.tls_version = tls_version
        self.cipher = cipher
        self.is_client = is_client
        self.trusted_by = trusted_by
        self.is_for_callers = False
        self.handshake_seconds = 0.0
        self.was_resumed = False

    @property
    def certificate(self) -> x509.Certificate | None:
        """The peer's certificate, or None; read anew each time."""
        return x509.load_der_x509_certificate(self._certificate) if self._certificate else None

    @property
    def key(self) -> str:
        """The key of the peer's identity, see :attr:`.PeerIdentities.key`; the empty string without a certificate."""
        return self.identities.key if self.identities is not None else ""

    def __repr__(self) -> str:
        return f"<VerifiedPeer {self.matched or 'without certificate'} {self.tls_version} {self.cipher}>"


class PeerRule:
    """A further rule for peers, on top of trust, names and key usage: revocation, for one.

    Rules are shared by all connections of some settings and keep nothing of a single one.
    """

    def tolerates(self, code: int, depth: int, facts: CertificateFacts) -> bool:
        """Whether OpenSSL's verification *code* about the certificate at *depth* is nothing to refuse it for."""
        return False

    def check(self, shown: Shown, connection: Connection | None) -> None:
        """Look at a peer that has passed everything else.

        Called in the verify callback with None, and when the handshake is complete with the *connection*.

        :raises Refused: the peer is refused; so it is by any other exception.
        """


@final
class PeerCheck:
    """The judgement on the peer of one connection.

    :ivar peer: whom the failure names: the name that was dialled, or the caller's address.
    :ivar refusal: why the peer was refused, once it was.
    :ivar may_resume: whether we dialled and offered a session of ours to be resumed.
    """

    __slots__ = (
        "_approved", "_chain", "_expected", "_policy", "_require", "_rules", "_trouble", "_trust", "_usage",
        "may_resume", "peer", "refusal",
    )  # fmt: skip

    def __init__(
        self,
        trust: TrustGiven,
        policy: TrustPolicy,
        *,
        expected: str | None,
        require_certificate: bool,
        usage: KeyUsage = _DEFAULT_USAGE,
        rules: Iterable[PeerRule] = (),
    ) -> None:
        """
        :param trust: by what we know peers.
        :param policy: who may call us. Of those that we call, it only says who is excluded.
        :param expected: the name that was dialled, in normal form; None on the accepting side.
        :param require_certificate: whether a peer without one is refused.
        :param usage: what a certificate must be meant for.
        :param rules: what else a peer must pass.
        """
        self._trust = TrustStack.of(trust)
        self._policy = policy
        self._expected = expected
        self._require = require_certificate
        self._usage = usage
        self._rules = tuple(rules)
        # The certificate that was found good, and what is wrong with its chain.
        self._approved = b""
        self._trouble: Refused | None = None
        self._chain: tuple[bytes, ...] = ()
        self.may_resume = False
        self.peer = expected or ""
        self.refusal: TlsFailure | None = None

    @property
    def is_client(self) -> bool:
        """Whether we dialled."""
        return self._expected is not None

    @property
    def has_approved(self) -> bool:
        """Whether the peer's certificate came and was found good."""
        return bool(self._approved) and self.refusal is None

    def judge(self, certificate: X509, code: int, depth: int) -> bool:
        """One step of OpenSSL's verification: whether it may go on.

        :param certificate: the one that the step is about.
        :param code: what OpenSSL has against it; 0 for nothing.
        :param depth: its place in the chain, from 0 for the peer's own.
        """
        if self.refusal is not None:
            return False
        der = b""
        try:
            der = dump_certificate(FILETYPE_ASN1, certificate)
            facts = certificate_facts(der)
            trouble = self._trouble_with(facts, code, depth)
            if trouble is not None:
                if not self._trust.judges_keys or not (trouble.is_of_chain or depth > 0):
                    raise trouble
                self._trouble = self._trouble or trouble
            if code == X509VerificationCodes.OK:
                # OpenSSL comes down from the anchor.
                self._chain = (facts.der, *self._chain)
            if depth == 0 and code == X509VerificationCodes.OK:
                self._identify(facts, None)
                self._approved = facts.der
            elif trouble is not None and depth == 0 and not self._approved:
                # Whom nobody knows even so is refused here, where the alert says that it is for want of an authority.
                self._trust.consider(self._shown(facts))
            elif trouble is not None and self._approved:
                # Name constraints come after all else: who was let in for the chain's sake is looked at again.
                self._identify(certificate_facts(self._approved), None)
        except Refused as refused:
            self._refuse(refused, der)
        except Exception:
            self._failed("judging the peer's certificate failed", der)
        return self.refusal is None

    def conclude(self, connection: Connection) -> VerifiedPeer | None:
        """The handshake is complete: what it has established, or None after a refusal."""
        if self.refusal is not None:
            return None
        der = b""
        try:
            certificate = connection.get_peer_certificate()
            # OpenSSL's few names: pyOpenSSL makes new strings of them each time.
            version, cipher = intern(connection.get_protocol_version_name()), intern(connection.get_cipher_name() or "")
            if certificate is None:
                if self._require:
                    raise Refused(TlsFailureReason.REMOTE_CERTIFICATE_MISSING)
                return VerifiedPeer(None, "", b"", version, cipher, self.is_client)
            der = dump_certificate(FILETYPE_ASN1, certificate)
            facts = certificate_facts(der)
            # The same octets as any other connection of this peer has.
            der = facts.der
            self._check_approval(facts)
            grant, matched = self._identify(facts, connection)
            # Only now the peer has proved that it holds the key.
            grant.trust.remember(self._shown(facts), grant)
            self._chain = ()
            return VerifiedPeer(grant.identities, matched, der, version, cipher, self.is_client, grant.trusted_by)
        except Refused as refused:
            self._refuse(refused, der)
        except Exception:
            self._failed("verifying the completed handshake failed", der)
        return None

    def _trouble_with(self, facts: CertificateFacts, code: int, depth: int) -> Refused | None:
        """What this step finds wrong."""
        try:
            if code == X509VerificationCodes.ERR_INVALID_PURPOSE:
                # OpenSSL knows nothing of RFC 5924; the same rule follows for what it lets pass.
                self._usage.check(facts, peer_is_client=not self.is_client, depth=depth)
            elif code != X509VerificationCodes.OK:
                if depth == 0:
                    # OpenSSL finds no issuer for what it cannot read.
                    facts.check_readable()
                if not any(rule.tolerates(code, depth, facts) for rule in self._rules):
                    return Refused(
                        verification_reason(code), verification_words(code, depth), is_of_chain=is_of_chain(code)
                    )
            else:
                is_anchor = facts.der in self._trust
                facts.check_strength(is_anchor=is_anchor)
                if depth > 0 and not is_anchor:
                    self._usage.check(facts, peer_is_client=not self.is_client, depth=depth)
        except Refused as refused:
            return refused
        return None

    def _check_approval(self, facts: CertificateFacts) -> None:
        if self._approved:
            if self._approved != facts.der:
                raise Refused(TlsFailureReason.OTHER, "the certificate is not the one that was verified")
            self._approved = facts.der
            return
        # Only a resumed session gets here without the callback. It began with this very context, which trusts the same
        # authorities, and a full verification; what may have changed since is the time.
        if self.is_client and not self.may_resume:
            raise Refused(TlsFailureReason.OTHER, "the certificate was not verified")
        if self._trust.judges_keys:
            # It may have been let in for its key, so its chain proves nothing now.
            untrusted = TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE
            self._trouble = Refused(untrusted, "its chain was not shown again", is_of_chain=True)
        try:
            facts.check_strength(is_anchor=facts.der in self._trust)
        except Refused as refused:
            if not (self._trust.judges_keys and refused.is_of_chain):
                raise

    def _identify(self, facts: CertificateFacts, connection: Connection | None) -> tuple[Grant, str]:
        """Who vouches for the peer's own certificate, and the identity by which the peer is welcome."""
        facts.check_validity(datetime.datetime.now(datetime.UTC))
        self._usage.check(facts, peer_is_client=not self.is_client)
        shown = self._shown(facts)
        grants = self._trust.consider(shown)
        # Who was taken out under one name does not come in under another, whoever vouches for that.
        is_excluded = len(grants) > 1 and any(self._policy.excludes(grant.identities) is not None for grant in grants)
        for grant in () if is_excluded else grants:
            matched = self._welcome(grant.identities)
            if matched is not None:
                for rule in self._rules:
                    rule.check(shown, connection)
                return grant, matched
        proved = ", ".join(dict.fromkeys(name for grant in grants for name in grant.identities.identities))
        if self._expected is not None and not is_excluded and self._policy.excludes(grants[0].identities) is None:
            raise Refused(
                TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE,
                f"it proves {proved or 'no SIP identity'}, not {self._expected}",
            )
        raise Refused(TlsFailureReason.CONNECTION_AUTHORIZATION_FAILED, f"it proves {proved}; allowed: {self._policy}")

    def _shown(self, facts: CertificateFacts) -> Shown:
        return Shown(facts, self._expected, self._trouble, self._chain, self._policy)

    def _welcome(self, identities: PeerIdentities) -> str | None:
        """The identity by which a peer that is known by *identities* may talk to us here, or None."""
        if self._expected is None:
            return self._policy.allows(identities)
        return identities.matches(self._expected) if self._policy.excludes(identities) is None else None

    def _refuse(self, refused: Refused, der: bytes) -> None:
        certificate: x509.Certificate | None = None
        with suppress(*UNREADABLE):
            certificate = x509.load_der_x509_certificate(der)
        self.refusal = TlsFailure(refused.reason, self.peer, certificate, detail=refused.detail)

    def _failed(self, what: str, der: bytes) -> None:
        # The refusal stands first: nothing that happens to the logging may undo it.
        self._refuse(Refused(TlsFailureReason.OTHER, f"{what}, so the peer is refused"), der)
        _log.failure("{what}, so {peer} is refused", what=what, peer=self.peer)
