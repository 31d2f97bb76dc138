"""Signatures of requests, judged (RFC 8224 section 6.2).

In this order: is it of a kind that is known; is it of now; is it of this request, and for us; can its certificate be
had; does somebody trusted vouch for that; may its holder speak for the caller; is the signature good; has it been used
before. What is cheap comes first, and nothing is fetched for what fails anyway; RFC 8224 section 6.2 has the
certificate before the time.

Left out: extensions (``ppt``), which are passed over as if they were not there; ``div`` (RFC 8946), so that a call that
was turned to us on the way is for somebody else; requests in dialogs, which the connection and the dialog vouch for.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, final

from cryptography import x509
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from sip_p2p.endpoint.identity.certificates import CertificateStore
from sip_p2p.endpoint.identity.chain import Unsupported, check_chain, signing_key
from sip_p2p.endpoint.identity.fetching import FetchRules, NotFetched
from sip_p2p.endpoint.identity.replay import ReplayCache
from sip_p2p.endpoint.identity.signer import SIGNED_METHODS, mark_of, signed
from sip_p2p.endpoint.identity.verdict import PassportStatus, PassportVerdict
from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dates import parse_date
from sip_p2p.sip.identity import parse_identity
from sip_p2p.sip.passport import ALGORITHM, Passport, canonical_identity, fingerprints_of, split_token
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.https import HttpsPolicy, system_authorities
from sip_p2p.transport.trust.identity import PeerIdentities

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from sip_p2p.endpoint.identity.certificates import Around
    from sip_p2p.sip.identity import IdentityValue
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.passport import PassportIdentity
    from sip_p2p.sip.uri import SipUri

__all__ = ["POLICIES", "PassportVerifier"]

POLICIES = ("off", "check", "require")
"""What is made of a signature: nothing; a verdict for the application; a refusal of whoever has no good one."""

_MOST_IDENTITIES = 4
_log = Logger()


@final
class _Judged(Exception):
    """The outcome is known before the end.

    :ivar verdict: the outcome.
    """

    def __init__(self, code: int, detail: str, passport: Passport | None = None) -> None:
        super().__init__(detail)
        self.verdict = PassportVerdict(PassportStatus.INVALID, code, detail, passport)


@final
class PassportVerifier:
    """Judges the signatures of requests that reach one party, or several.

    :ivar policy: one of :data:`POLICIES`.
    :ivar methods: the requests that are looked at; what belongs to a dialog never is.
    :ivar certificates: what was fetched.
    :ivar replays: what was seen.
    """

    __slots__ = (
        "_anchors", "_clock", "_freshness", "_is_for_us", "_may_assert", "certificates", "methods", "policy", "replays",
    )  # fmt: skip

    def __init__(
        self,
        trust: TrustAnchors | str | os.PathLike[str],
        *,
        policy: str = "check",
        https: HttpsPolicy | None = None,
        rules: FetchRules | None = None,
        may_assert_number: Callable[[x509.Certificate, str], bool] | None = None,
        is_for_us: Callable[[PassportIdentity], bool] | None = None,
        methods: Iterable[str] = SIGNED_METHODS - {"OPTIONS"},
        freshness: float = 60.0,
        clock: Callable[[], float] = time,
    ) -> None:
        """
        :param trust: the authorities that vouch for signers: theirs, or the path of a PEM file or folder. They need not
            be those that vouch for peers.
        :param policy: ``off``, ``check`` or ``require``.
        :param https: which servers certificates are fetched from; by default those that the machine's public
            authorities vouch for.
        :param rules: which URLs are fetched at all.
        :param may_assert_number: whether a certificate may speak for a telephone number, given as digits (RFC 8226 has
            an extension for that); by default none may.
        :param is_for_us: whether an identity for which something was signed is us; by default, only the owner URI of
            the endpoint is. A number that leads here has to be said.
        :param methods: the requests that are looked at.
        :param freshness: for how many seconds a signature is good, either way.
        :param clock: seconds since 1970.
        :raises ValueError: for another policy, a freshness of nothing, or a file that cannot be used.
        """
        if policy not in POLICIES:
            raise ValueError(f"a policy is {', '.join(POLICIES)}, not {policy!r}")
        # Written so that a NaN, which is neither more nor less than anything, is refused as well.
        if not freshness > 0:
            raise ValueError(f"a signature that is good for {freshness} s is never good")
        self._anchors = trust if isinstance(trust, TrustAnchors) else TrustAnchors.from_files(trust)
        self.policy = policy
        self.certificates = CertificateStore(rules or FetchRules(), https or HttpsPolicy(system_authorities()))
        self.replays = ReplayCache()
        self._may_assert = may_assert_number
        self._is_for_us = is_for_us
        self.methods = frozenset(methods)
        self._freshness = freshness
        self._clock = clock

    def looks_at(self, request: Request) -> bool:
        """Whether there is anything to judge."""
        return self.policy != "off" and request.method in self.methods and request.to.tag is None

    async def verify(self, request: Request, owner: SipUri, around: Around) -> PassportVerdict:
        """The judgement on *request*; never an exception but for being cancelled.

        :param owner: the address of record of the party that it is for.
        :param around: how many certificates may be fetched at a time, and so on.
        """
        worst: PassportVerdict | None = None
        tried = 0
        for value in request.headers.get_all("Identity"):
            if tried == _MOST_IDENTITIES:
                break
            try:
                identity = parse_identity(value)
                # 6.2, step 1: what is of a kind that is not known is passed over.
                if identity.ppt is not None:
                    continue
                return await self._judge(identity, request, owner, around)
            except _Judged as judged:
                verdict = judged.verdict
            except MalformedMessage as error:
                verdict = PassportVerdict(PassportStatus.INVALID, 438, error.reason)
            except CancelledError:
                raise
            except Exception:
                _log.failure("a signature could not be judged, so it proves nothing")
                verdict = PassportVerdict(PassportStatus.INVALID, 438, "it could not be judged")
            tried += 1
            # 6.2.2: that a certificate could not be had is told only where none could.
            if worst is None or (worst.code == 436 != verdict.code):
                worst = verdict
        return worst or PassportVerdict(PassportStatus.ABSENT, 428, "there is no signature of a kind that is known")

    async def _judge(self, identity: IdentityValue, request: Request, owner: SipUri, around: Around) -> PassportVerdict:
        passport, token = self._read(identity, request)
        now = self._clock()
        # 6.2, step 4: with a whole token its own time counts, whatever Date says.
        if abs(now - passport.iat) > self._freshness:
            raise _Judged(403, f"it was signed {now - passport.iat:.0f} s ago", passport)
        self._compare(passport, request, owner)
        try:
            chain = await self.certificates.get(identity.info, around)
        except NotFetched as error:
            raise _Judged(436, str(error), passport) from None
        try:
            check_chain(chain, self._anchors, now, passport.iat)
            self._check_authority(chain[0], passport)
            key = signing_key(chain[0])
        except Unsupported as error:
            raise _Judged(437, str(error), passport) from None
        if not signed(token, key):
            raise _Judged(438, "the signature is not that of the certificate", passport)
        ends = passport.iat + self._freshness
        if not self.replays.admit(mark_of(token), request, ends, now):
            raise _Judged(438, "the signature came with another request before", passport)
        if self.replays.forget(around.limits.passport_replays):
            around.limit_hit("passport_replays")
        return PassportVerdict(PassportStatus.VALID, 0, "", passport, chain[0])

    def _read(self, identity: IdentityValue, request: Request) -> tuple[Passport, str]:
        """What was signed, and the whole token."""
        if identity.alg is not None and identity.alg.upper() != ALGORITHM:
            raise _Judged(437, f"it is signed with something else than {ALGORITHM}")
        header, claims, signature = split_token(identity.token)
        if not identity.is_compact:
            passport = Passport.parse(header, claims)
            if passport.x5u != identity.info or passport.ppt is not None:
                raise _Judged(438, "the token is not of the certificate or kind that its field says", passport)
            return passport, identity.token
        # 4.1.1, and 6.2, step 5: what was left out is made from the request, and its time is Date's.
        date = request.headers.get("Date")
        if date is None:
            raise _Judged(438, "a compact token needs a Date")
        passport = Passport.of_request(request, parse_date(date), identity.info)
        return passport, ".".join((*passport.pieces(), signature))

    def _compare(self, passport: Passport, request: Request, owner: SipUri) -> None:
        """6.2, step 5: what was signed against what came."""
        orig, dest = canonical_identity(request.from_.uri), canonical_identity(request.to.uri)
        if orig is None or not orig.same_as(passport.orig):
            raise _Judged(438, "it was signed for another From", passport)
        if dest is None or not passport.is_for(dest):
            raise _Judged(438, "it was signed for another To", passport)
        if passport.mky != fingerprints_of(request):
            raise _Judged(438, "it was signed for other media keys", passport)
        # TLS on every hop makes us nobody else; To has it as it was signed.
        ours = (canonical_identity(owner.replace(scheme=scheme)) for scheme in ("sip", "sips"))
        if any(us is not None and passport.is_for(us) for us in ours):
            return
        # 12.1: who was called could call others with it.
        if self._is_for_us is None or not any(self._is_for_us(each) for each in passport.dest):
            raise _Judged(438, "it was signed for a call to somebody else", passport)

    def _check_authority(self, certificate: x509.Certificate, passport: Passport) -> None:
        """Whether who holds *certificate* may speak for the caller.

        :raises Unsupported: when not.
        """
        orig = passport.orig
        if orig.is_number:
            if self._may_assert is None or not self._may_assert(certificate, orig.value):
                raise Unsupported("nothing says that it may speak for this telephone number")
            return
        try:
            proved = PeerIdentities.from_certificate(certificate)
        except ValueError as error:
            raise Unsupported(str(error)) from None
        if not orig.domain or proved.matches(orig.domain) is None:
            raise Unsupported(f"it may speak for {', '.join(proved.identities)[:200] or 'nobody'}")

    def __repr__(self) -> str:
        return f"<PassportVerifier {self.policy}, {len(self.certificates)} certificates>"
