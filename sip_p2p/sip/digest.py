"""Digest authentication as values: challenges, credentials and the hashes between them (RFC 3261 section 22, RFC 7616,
RFC 8760).

Everything here is computed from what is given: who may be answered, which password belongs to whom, and whether a nonce
is ours and fresh is decided by those who have the credentials (:mod:`sip_p2p.endpoint.authentication`). Names and
passwords are hashed in UTF-8, which is what SIP is written in (RFC 3261 section 7).

Left out: ``username*`` (RFC 7616 section 3.4), since a quoted string of SIP holds UTF-8 as it is; ``domain``, since in
SIP the realm alone says what a challenge is for (RFC 3261 section 22.1); and ``Proxy-Authentication-Info``, which SIP
does not have.
"""

from __future__ import annotations

import hashlib
import re
from hmac import compare_digest
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import quote
from sip_p2p.sip.auth import AuthValue, parse_auth_params, parse_auth_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.message import Message, Response

__all__ = [
    "ALGORITHMS",
    "Challenge",
    "ClientNonce",
    "Presented",
    "Proof",
    "choose",
    "digest",
    "ha1_of",
    "hash_of",
    "is_algorithm",
    "is_digest",
    "parse_challenges",
    "parse_presented",
    "rspauth",
    "same",
]

_HASHES = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}

ALGORITHMS = tuple(name for name, known in _HASHES.items() if known in hashlib.algorithms_available)
"""The hash algorithms that are there (RFC 7616 section 6.1), the strongest first; each also with ``-sess``."""

_CANONICAL = {f"{name}{suffix}".lower(): f"{name}{suffix}" for name in ALGORITHMS for suffix in ("", "-sess")}
_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{8}")
_HEX = re.compile(r"[0-9A-Fa-f]+")
_DIGITS = {"SHA-512-256": 64, "SHA-256": 64, "MD5": 32}
_MOST_USES = 0xFFFFFFFF
_LONGEST_NONCE = 512
_CHALLENGES = (("WWW-Authenticate", False), ("Proxy-Authenticate", True))
_QUOTED = ("username", "realm", "nonce", "uri", "response", "cnonce", "opaque")


def is_algorithm(name: str) -> bool:
    """Whether *name* is an algorithm that can be computed, ``-sess`` or not, in any case."""
    return name.lower() in _CANONICAL


def is_digest(algorithm: str, text: str) -> bool:
    """Whether *text* is what *algorithm* can make: so many hexadecimal digits."""
    return _HEX.fullmatch(text) is not None and len(text) == _DIGITS[_base(algorithm)]


def _base(algorithm: str) -> str:
    return algorithm.removesuffix("-sess")


def hash_of(algorithm: str, text: str | bytes) -> str:
    """``H(data)`` of RFC 7616 section 3.3, in small hexadecimal digits (section 3.2).

    :param algorithm: one of :data:`ALGORITHMS`, with or without ``-sess``, as they are written there.
    """
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return hashlib.new(_HASHES[_base(algorithm)], data, usedforsecurity=_base(algorithm) != "MD5").hexdigest()


def ha1_of(algorithm: str, username: str, realm: str, password: str) -> str:
    """The part of a digest that stands for the password (RFC 7616 section 3.4.2): what may be kept in its place, and is
    as secret for this realm and algorithm."""
    return hash_of(algorithm, f"{username}:{realm}:{password}")


def _a1(algorithm: str, ha1: str, nonce: str, cnonce: str) -> str:
    return hash_of(algorithm, f"{ha1}:{nonce}:{cnonce}") if algorithm.endswith("-sess") else ha1


def digest(
    algorithm: str,
    ha1: str,
    nonce: str,
    method: str,
    uri: str,
    *,
    qop: str = "",
    nc: str = "",
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """The ``response`` of credentials (RFC 7616 section 3.4.1).

    :param ha1: from :func:`ha1_of`, also for an algorithm with ``-sess``.
    :param qop: ``auth``, ``auth-int``, or nothing as in RFC 2069.
    :param nc: the nonce count, eight hexadecimal digits; with *qop* only.
    :param body: counts with ``auth-int`` only; RFC 8760 section 2.6 says that none is an empty one.
    """
    return _finish(algorithm, ha1, nonce, f"{method}:{uri}", qop, nc, cnonce, body)


def rspauth(
    algorithm: str, ha1: str, nonce: str, uri: str, *, qop: str, nc: str, cnonce: str, body: bytes = b""
) -> str:
    """What the ``rspauth`` of an Authentication-Info must be: the same without the method, over the body of the
    response (RFC 7616 section 3.5)."""
    return _finish(algorithm, ha1, nonce, f":{uri}", qop, nc, cnonce, body)


def _finish(algorithm: str, ha1: str, nonce: str, a2: str, qop: str, nc: str, cnonce: str, body: bytes) -> str:
    if qop == "auth-int":
        a2 = f"{a2}:{hash_of(algorithm, body)}"
    secret = _a1(algorithm, ha1, nonce, cnonce)
    middle = f"{nonce}:{nc}:{cnonce}:{qop}" if qop else nonce
    return hash_of(algorithm, f"{secret}:{middle}:{hash_of(algorithm, a2)}")


@final
class Challenge:
    """One challenge of a peer (RFC 3261 sections 20.27 and 20.44).

    :ivar realm: for whose users it is; compared as it is written.
    :ivar is_proxy: whether it is for Proxy-Authorization.
    :ivar nonce: what is to be hashed.
    :ivar opaque: what is to be sent back; None where there is none.
    :ivar algorithm: as :data:`ALGORITHMS` writes it; MD5 where none is named (RFC 7616 section 3.3).
    :ivar names_algorithm: whether the challenge names it, so that the answer does.
    :ivar qop: ``auth``, ``auth-int``, or nothing where it offers none with MD5.
    :ivar is_stale: whether the credentials were good and their nonce was not.
    :ivar hashes_user: whether the peer takes the name as a hash (RFC 7616 section 3.4.4).
    :ivar is_composed: whether the peer has names and passwords in Unicode's form C (RFC 7616 section 4: ``charset``).
    """

    __slots__ = (
        "algorithm",
        "hashes_user",
        "is_composed",
        "is_proxy",
        "is_stale",
        "names_algorithm",
        "nonce",
        "opaque",
        "qop",
        "realm",
    )

    def __init__(self, value: AuthValue, is_proxy: bool) -> None:
        """
        :raises MalformedMessage: when it is no digest, or none that can be answered.
        """
        params = value.params
        realm, nonce = params.get("realm"), params.get("nonce")
        if not value.is_scheme("Digest") or realm is None or not nonce:
            raise MalformedMessage("no challenge of the scheme Digest with realm and nonce")
        algorithm = _CANONICAL.get((params.get("algorithm") or "MD5").lower())
        if algorithm is None:
            raise MalformedMessage("a challenge with an algorithm that is not known")
        offered = {each.strip(" \t").lower() for each in (params.get("qop") or "").split(",")} - {""}
        if not offered and algorithm != "MD5":
            # RFC 8760 section 2.6: this is what no qop means; without one answers who may be as old as RFC 2069.
            offered.add("auth")
        self.qop = "auth" if "auth" in offered else "auth-int" if "auth-int" in offered else ""
        if offered and not self.qop:
            raise MalformedMessage("a challenge without a qop that is known")
        self.realm = realm
        self.nonce = nonce
        self.opaque = params.get("opaque")
        self.algorithm = algorithm
        self.names_algorithm = "algorithm" in params
        self.is_stale = (params.get("stale") or "").lower() == "true"
        self.is_composed = (params.get("charset") or "").lower() == "utf-8"
        self.hashes_user = (params.get("userhash") or "").lower() == "true"
        self.is_proxy = is_proxy

    def __repr__(self) -> str:
        return f"<Challenge {self.realm[:64]!r} {self.algorithm}>"


def parse_challenges(response: Response) -> list[Challenge]:
    """Every challenge of *response* that can be answered, in its order; those of other schemes, with other algorithms,
    and what cannot be read are passed over (RFC 8760 section 2.4)."""
    challenges: list[Challenge] = []
    for name, is_proxy in _CHALLENGES:
        for value in response.headers.get_all(name):
            try:
                challenges.append(Challenge(parse_auth_value(value, name), is_proxy))
            except MalformedMessage:
                continue
    return challenges


def choose(challenges: Iterable[Challenge], algorithms: Iterable[str]) -> Challenge | None:
    """The one to answer of several for one realm.

    RFC 8760 section 2.4: the topmost that is understood; but MD5, wherever it stands, only where nothing else can be
    answered, so that whoever sorts the challenges on their way gains nothing.

    :param algorithms: those that may be used, without ``-sess``.
    """
    usable = [each for each in challenges if _base(each.algorithm) in algorithms]
    for each in usable:
        if _base(each.algorithm) != "MD5":
            return each
    return usable[0] if usable else None


@final
class ClientNonce:
    """A nonce of a peer that we answer, and how often we have (RFC 7616 section 3.4).

    :ivar challenge: where it comes from.
    :ivar nonce: the nonce; another than the challenge's after a ``nextnonce``.
    :ivar uses: how many credentials were made with it.
    """

    __slots__ = ("_cnonce", "_secret", "_username", "challenge", "nonce", "uses")

    def __init__(self, challenge: Challenge, username: str, ha1: str, cnonce: str) -> None:
        """
        :param ha1: from :func:`ha1_of` for the algorithm of *challenge*.
        :param cnonce: one of our own that nobody can guess. It stays the same while the nonce does: servers disagree
            on whether ``-sess`` counts the first or the present one.
        """
        self.challenge = challenge
        self.nonce = challenge.nonce
        self.uses = 0
        self._username = username
        self._cnonce = cnonce
        # RFC 7616 sections 3.4.2 and 3.6: what -sess makes of the first nonce lasts as long as the challenge does.
        self._secret = _a1(challenge.algorithm, ha1, challenge.nonce, cnonce)

    @property
    def is_too_long(self) -> bool:
        """Whether it, or what is to be sent back with it, is longer than anything that is worth to be kept."""
        return max(len(self.nonce), len(self.challenge.opaque or "")) > _LONGEST_NONCE

    @property
    def is_used_up(self) -> bool:
        """Whether it can be counted no further."""
        return self.uses >= _MOST_USES

    def field(self, method: str, uri: str, body: bytes) -> tuple[str, str]:
        """The field that answers the challenge once more, for a request with these parts."""
        challenge = self.challenge
        algorithm, qop = challenge.algorithm, challenge.qop
        self.uses += 1
        nc, cnonce = f"{self.uses:08x}", self._cnonce
        answer = digest(
            _base(algorithm), self._secret, self.nonce, method, uri, qop=qop, nc=nc, cnonce=cnonce, body=body
        )
        username = self._username
        if challenge.hashes_user:
            username = hash_of(algorithm, f"{username}:{challenge.realm}")
        params: dict[str, str | None] = {
            "username": username,
            "realm": challenge.realm,
            "nonce": self.nonce,
            "uri": uri,
            "response": answer,
        }
        if challenge.names_algorithm:
            params["algorithm"] = algorithm
        if qop:
            params |= {"cnonce": cnonce, "qop": qop, "nc": nc}
        if challenge.opaque is not None:
            params["opaque"] = challenge.opaque
        if challenge.hashes_user:
            params["userhash"] = "true"
        name = "Proxy-Authorization" if challenge.is_proxy else "Authorization"
        return name, str(AuthValue("Digest", params, _QUOTED))

    def hear_info(self, message: Message, uri: str, nonce: str = "") -> bool:
        """Read the Authentication-Info of a response to what :meth:`field` was made for (RFC 7616 section 3.5).

        :param uri: the Request-URI that was hashed.
        :param nonce: the nonce that was; by default the present one. The response to another request may have brought
            the next one since.
        :returns: False where the peer gives a proof that it knows the password, and the proof is wrong.
        """
        value = message.headers.get("Authentication-Info")
        if value is None or self.challenge.is_proxy:
            return True
        try:
            params = parse_auth_params(value, "Authentication-Info")
        except MalformedMessage:
            return True
        given, qop, nc, cnonce = (params.get(name) for name in ("rspauth", "qop", "nc", "cnonce"))
        if cnonce is not None and cnonce != self._cnonce:
            # It is about other credentials, of another realm.
            return True
        if given is not None and qop in ("auth", "auth-int") and nc and cnonce:
            algorithm, hashed = _base(self.challenge.algorithm), nonce or self.nonce
            expected = rspauth(algorithm, self._secret, hashed, uri, qop=qop, nc=nc, cnonce=cnonce, body=message.body)
            if not same(given, expected):
                return False
        following = params.get("nextnonce")
        if following and following != self.nonce and len(following) <= _LONGEST_NONCE:
            self.nonce = following
            self.uses = 0
        return True

    def __repr__(self) -> str:
        return f"<ClientNonce {self.challenge.realm[:64]!r} used {self.uses} times>"


def same(given: str, expected: str) -> bool:
    """Whether two digests are the same; how long that takes does not tell where they differ."""
    return compare_digest(given.lower().encode("utf-8", "surrogateescape"), expected.encode())


@final
class Presented:
    """Credentials that a peer presents (RFC 3261 sections 20.7 and 20.28), well formed.

    :ivar username: whose they are, or a hash of it where :attr:`is_hashed` says so.
    :ivar realm: for which realm.
    :ivar nonce: the nonce that they answer.
    :ivar uri: the Request-URI as it was hashed.
    :ivar algorithm: as :data:`ALGORITHMS` writes it.
    :ivar qop: ``auth`` or ``auth-int``.
    :ivar count: how often the nonce was used by now.
    """

    __slots__ = (
        "_cnonce",
        "_nc",
        "_response",
        "algorithm",
        "count",
        "is_hashed",
        "nonce",
        "qop",
        "realm",
        "uri",
        "username",
    )

    def __init__(self, value: AuthValue, field_name: str) -> None:
        """
        :raises MalformedMessage: when something is missing or is not what it has to be (400). No value is quoted.
        """
        params = value.params
        self.username = _needed(params.get("username"), "username", field_name)
        if "username*" in params:
            # RFC 7616 section 3.4: which of the two would it be?
            raise MalformedMessage(f"{field_name}: there are username and username*")
        self.realm = params.get("realm") or ""
        self.nonce = _needed(params.get("nonce"), "nonce", field_name)
        self.uri = _needed(params.get("uri"), "uri", field_name)
        self._cnonce = _needed(params.get("cnonce"), "cnonce", field_name)
        self._response = _needed(params.get("response"), "response", field_name)
        algorithm = _CANONICAL.get((params.get("algorithm") or "MD5").lower())
        if algorithm is None:
            raise MalformedMessage(f"{field_name}: an algorithm that was not offered")
        self.algorithm = algorithm
        self.qop = _needed(params.get("qop"), "qop", field_name).lower()
        if self.qop not in ("auth", "auth-int"):
            raise MalformedMessage(f"{field_name}: qop is neither auth nor auth-int")
        count = _needed(params.get("nc"), "nc", field_name)
        if _NONCE_COUNT.fullmatch(count) is None or int(count, 16) == 0:
            raise MalformedMessage(f"{field_name}: nc is not eight hexadecimal digits, counted from 1")
        self.count = int(count, 16)
        # RFC 7616 section 3.4.1: hashed as it is written, in whatever case; section 3.5: and repeated like that.
        self._nc = count
        if not is_digest(algorithm, self._response):
            raise MalformedMessage(f"{field_name}: response is not a digest of this algorithm")
        self.is_hashed = (params.get("userhash") or "").lower() == "true"

    def answers(self, ha1: str, method: str, body: bytes) -> bool:
        """Whether they were made by who knows *ha1*, for a request with these parts."""
        expected = digest(
            self.algorithm,
            ha1,
            self.nonce,
            method,
            self.uri,
            qop=self.qop,
            nc=self._nc,
            cnonce=self._cnonce,
            body=body,
        )
        return same(self._response, expected)

    def proof(self, ha1: str) -> Proof:
        """What shows to who has sent them that *ha1* is known here as well."""
        return Proof(self.algorithm, ha1, self.nonce, self.uri, self.qop, self._nc, self._cnonce)

    def __repr__(self) -> str:
        return f"<Presented for {self.realm[:64]!r}>"


@final
class Proof:
    """What the response to a request with good credentials carries (RFC 3261 section 20.6, RFC 7616 section 3.5): that
    who answers knows the password, too."""

    __slots__ = ("_algorithm", "_cnonce", "_ha1", "_nc", "_nonce", "_qop", "_uri")

    def __init__(self, algorithm: str, ha1: str, nonce: str, uri: str, qop: str, nc: str, cnonce: str) -> None:
        """The arguments are those of :func:`rspauth`, as they stand in the credentials."""
        self._algorithm = algorithm
        self._ha1 = ha1
        self._nonce = nonce
        self._uri = uri
        self._qop = qop
        self._nc = nc
        self._cnonce = cnonce

    def field(self, body: bytes) -> tuple[str, str]:
        """Authentication-Info of a 2xx with this body."""
        qop, nc, cnonce = self._qop, self._nc, self._cnonce
        proof = rspauth(self._algorithm, self._ha1, self._nonce, self._uri, qop=qop, nc=nc, cnonce=cnonce, body=body)
        return "Authentication-Info", f'qop={qop}, rspauth="{proof}", cnonce={quote(cnonce)}, nc={nc}'

    def __repr__(self) -> str:
        return "<Proof>"


def _needed(value: str | None, name: str, field_name: str) -> str:
    if not value:
        raise MalformedMessage(f"{field_name}: {name} is missing")
    return value


def parse_presented(message: Message, realm: str, *, is_proxy: bool) -> Presented | None:
    """The credentials of *message* for *realm*; None where there are none, or where their nonce is empty, as that of
    who has not been challenged yet is (RFC 8760 section 2.7).

    :raises MalformedMessage: when a field cannot be read, or there are two for the realm (400).
    """
    field_name = "Proxy-Authorization" if is_proxy else "Authorization"
    found: AuthValue | None = None
    for value in message.headers.get_all(field_name):
        parsed = parse_auth_value(value, field_name)
        if parsed.is_scheme("Digest") and parsed.params.get("realm") == realm:
            if found is not None:
                raise MalformedMessage(f"{field_name} stands twice for this realm")
            found = parsed
    return None if found is None or found.params.get("nonce") == "" else Presented(found, field_name)
