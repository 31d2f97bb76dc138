"""The rule that looks at all of a peer's chain: whether any certificate in it is revoked, and, where a session is
resumed, whether the chain that was verified then still holds.

RFC 5280 section 6.1.3 (a chain is good if every certificate in it is, at the moment).
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, final

from cryptography import x509

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.trust.certificate_facts import Refused, certificate_facts
from sip_p2p.transport.trust.issuers import KnownIssuers
from sip_p2p.transport.trust.judgement import PeerRule
from sip_p2p.transport.trust.revocation import RevocationMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from OpenSSL.SSL import Connection

    from sip_p2p.transport.trust.revocation import Revocation
    from sip_p2p.transport.trust.stack import Shown, TrustStack

__all__ = ["ChainRule"]


@final
class ChainRule(PeerRule):
    """Every certificate between a peer and its anchor is in force.

    It says nothing of peers that are known by their key and have no chain to an anchor.
    """

    def __init__(self, trust: TrustStack, revocation: Revocation | None) -> None:
        """
        :param trust: where chains end.
        :param revocation: what is known of revoked certificates; None does not look.
        """
        self._issuers = KnownIssuers(trust)
        self._revocation = revocation

    def check(self, shown: Shown, connection: Connection | None) -> None:
        """Look at a peer's chain: in the verify callback as it was verified, and later as it is remembered."""
        if shown.trouble is not None:
            return
        if shown.chain:
            if connection is None:
                self._check_revocation(shown.chain)
            else:
                self._issuers.learn(shown.chain)
            return
        chain = self._issuers.chain_of(shown.facts.der)
        if chain is None:
            raise Refused(TlsFailureReason.OTHER, "the session that it resumed is from a chain that is not known here")
        now = datetime.datetime.now(datetime.UTC)
        for authority in chain[1:]:
            certificate_facts(authority).check_validity(now)
        self._check_revocation(chain)

    def _check_revocation(self, chain: Sequence[bytes]) -> None:
        if self._revocation is not None and self._revocation.mode is not RevocationMode.OFF:
            self._revocation.judge([x509.load_der_x509_certificate(each) for each in chain])
