"""Requests of ours, signed (RFC 8224 section 6.1, RFC 8225).

The signature covers who calls whom, when, and the fingerprints of media keys. It is made for each time that a request
goes out, since it is good for a minute only.

Left out: extensions (``ppt``); sending again after a 438 what was sent in the compact form (section 6.1.1), since the
whole form is what is sent unless somebody wants the other; signatures that are the same each time (RFC 8225 section
4.2, RFC 6979): two messages of one second would have one signature, and the second would be taken for a copy.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from time import time
from typing import TYPE_CHECKING, final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from sip_p2p.endpoint.identity.fetching import FetchRules, NotFetched
from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.dates import format_date, parse_date
from sip_p2p.sip.identity import IdentityValue
from sip_p2p.sip.passport import ALGORITHM, Passport, PassportIdentity, canonical_identity
from sip_p2p.sip.privacy import ANONYMOUS_HOST
from sip_p2p.transport.trust.credential import Credential

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from sip_p2p.sip.message import Request

__all__ = ["SIGNED_METHODS", "PassportSigner", "mark_of", "signed"]

SIGNED_METHODS = frozenset("INVITE MESSAGE NOTIFY OPTIONS PUBLISH REFER SUBSCRIBE".split())
"""The requests that are signed where they belong to no dialog yet."""

_FRESH = 60
_NUMBER = 32
# As long as each of ES256 is (RFC 7518 section 3.4), in base64url.
_ANY_SIGNATURE = "A" * 86


@final
class PassportSigner:
    """Signs requests that leave one party.

    Only what it may say is signed: a caller in a domain that its certificate proves, or a telephone number of which the
    policy says so, while the certificate is valid. Everything else goes out as it is, and so does what its sender wants
    to be anonymous.

    :ivar x5u: where the certificate can be fetched.
    :ivar methods: what is signed.
    """

    __slots__ = ("_clock", "_compact", "_current", "_jws", "_may_assert", "methods", "x5u")

    def __init__(
        self,
        credential: Credential | str | os.PathLike[str] | Callable[[], Credential | None],
        x5u: str,
        *,
        methods: Iterable[str] = SIGNED_METHODS,
        may_assert_number: Callable[[str], bool] | None = None,
        compact: bool = False,
        clock: Callable[[], float] = time,
    ) -> None:
        """
        :param credential: the certificate and its key, of curve P-256; or the path of a PEM file with both; or what
            gives them, asked each time, since certificates are renewed.
        :param x5u: the ``https`` URL at which others find that certificate and its chain, as PEM. Nothing is served
            here.
        :param methods: what is signed.
        :param may_assert_number: whether a telephone number, as digits, is ours to sign; by default none is.
        :param compact: leave out of the token what the other side can read in the request. It saves octets, and fails
            wherever something on the way changes From, To or Date.
        :param clock: seconds since 1970.
        :raises ValueError: for a key of another kind, or a URL that nobody would fetch.
        :raises TlsFailure: when the file cannot be used.
        """
        self._current: Callable[[], Credential | None]
        if isinstance(credential, Credential):
            self._current = lambda: credential
        elif callable(credential):
            self._current = credential
        else:
            read = Credential.from_files(credential)
            self._current = lambda: read
        if self._key() is None:
            raise ValueError(f"{ALGORITHM} needs a certificate with a key of curve P-256 (RFC 8225 section 4.2)")
        try:
            FetchRules(ports=range(1, 65536), private_addresses=True).check(x5u)
            IdentityValue("..x", x5u)
        except NotFetched as error:
            raise ValueError(f"nobody would fetch {x5u[:64]!r}: {error}") from None
        self.x5u = x5u
        self.methods = frozenset(methods)
        self._may_assert = may_assert_number
        self._compact = compact
        self._clock = clock
        self._jws = jwt.PyJWS(algorithms=[ALGORITHM])

    def may_speak_for(self, identity: PassportIdentity) -> bool:
        """Whether *identity* is one that this certificate can sign for."""
        if identity.is_number:
            return self._may_assert is not None and self._may_assert(identity.value)
        current = self._current()
        return current is not None and current.identities.matches(identity.domain) is not None

    def sign(self, request: Request) -> bool:
        """Add Date, where there is none, and Identity to *request*, if that is ours to do.

        :raises InvalidOperation: when the application's own Date is of another minute (section 4.1).
        """
        key, passport = self._key(), self._passport(request)
        if key is None or passport is None:
            return False
        if "Date" not in request.headers:
            request.headers.add("Date", format_date(passport.iat))
        headers = {"typ": "passport", "x5u": passport.x5u}
        token = self._jws.encode(passport.claims(), key, algorithm=ALGORITHM, headers=headers)
        request.headers.add("Identity", self._value(passport, token.rpartition(".")[2]))
        return True

    def octets(self, request: Request) -> int:
        """By how much :meth:`sign` makes *request* longer: it decides over what it may go (RFC 3261 section 18.1.1).

        :raises InvalidOperation: as :meth:`sign`.
        """
        passport = self._passport(request)
        if passport is None or self._key() is None:
            return 0
        date = "" if "Date" in request.headers else f"Date: {format_date(passport.iat)}\r\n"
        return len(f"{date}Identity: {self._value(passport, _ANY_SIGNATURE)}\r\n")

    def _passport(self, request: Request) -> Passport | None:
        """What is to be signed of *request*; None where that is not ours to do."""
        if request.method not in self.methods or request.to.tag is not None or "Identity" in request.headers:
            return None
        try:
            orig = canonical_identity(request.from_.uri)
            if orig is None or orig.domain == ANONYMOUS_HOST or not self.may_speak_for(orig):
                return None
            now = self._clock()
            given = request.headers.get("Date")
            iat = int(now) if given is None else parse_date(given)
            if abs(iat - now) > _FRESH:
                raise InvalidOperation("what is signed carries the Date of its minute (RFC 8224 section 4.1)")
            if not self._is_valid(now) or not self._is_valid(iat):
                return None
            return Passport.of_request(request, iat, self.x5u)
        except MalformedMessage:
            # It goes to somebody who cannot be named in a signature.
            return None

    def _is_valid(self, at: float) -> bool:
        """Whether our certificate is valid *at* a moment (section 6.1, step 3)."""
        current = self._current()
        if current is None:
            return False
        certificate = current.certificate
        return certificate.not_valid_before_utc.timestamp() <= at <= certificate.not_valid_after_utc.timestamp()

    def _value(self, passport: Passport, signature: str) -> str:
        header, claims = ("", "") if self._compact else passport.pieces()
        return str(IdentityValue(f"{header}.{claims}.{signature}", passport.x5u, alg=ALGORITHM))

    def _key(self) -> ec.EllipticCurvePrivateKey | None:
        """The key of the moment; None where that is none that can sign."""
        current = self._current()
        key = None if current is None else current.key
        return key if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1) else None

    def __repr__(self) -> str:
        current = self._current()
        names = "" if current is None else ", ".join(current.identities.identities)
        return f"<PassportSigner {names} {self.x5u[:64]}>"


def mark_of(token: str) -> str:
    """What tells the signature of a good *token* from others: the first of its two numbers (RFC 7518 section 3.4).

    Without the key, anybody can write the octets of a signature in other characters, and take the negative of the
    second number: then it is good as well. The first number belongs to this signature alone.
    """
    return urlsafe_b64decode(token.rpartition(".")[2] + "==")[:_NUMBER].hex()


def signed(token: str, key: ec.EllipticCurvePublicKey) -> bool:
    """Whether a whole *token* is signed with *key* (RFC 7515 section 5.2)."""
    try:
        jwt.PyJWS(algorithms=[ALGORITHM]).decode(token, key, algorithms=[ALGORITHM])
    except (jwt.PyJWTError, ValueError):
        return False
    return True
