"""Asking others for a name and a password (RFC 3261 sections 22.1 to 22.4, RFC 7616, RFC 8760).

An authenticator challenges, and judges what comes back. A nonce says by itself when it was made, for whom and for which
realm, under a key that this process alone knows, so that nothing has to be kept of challenges that nobody answers. Of
those that were answered rightly it is kept how often, and each count is taken once, in rising order (fault E1).

Who gives a name that there is not goes through the same computations as who gives a wrong password, and is told the
same (fault E6).

Who passes is shown in turn that its password is known here (Authentication-Info, RFC 3261 section 20.6).

Left out: a hashed user name (RFC 7616 section 3.4.4), which is never asked for; ``nextnonce``, since a nonce that has
become too old is told with the next challenge; and nonces that other processes have made, after which a client is asked
once more and told that nothing but the nonce was wrong.
"""

from __future__ import annotations

import hmac
import os
import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, final

from twisted.logger import Logger

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.auth import AuthValue
from sip_p2p.sip.digest import ALGORITHMS, ha1_of, is_algorithm, parse_presented
from sip_p2p.sip.profile import Judgement
from sip_p2p.sip.uri import SipUri, parse_uri
from sip_p2p.transport.throttle import ThrottledLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.sip.digest import Presented
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.profile import Authenticator

    Lookup: TypeAlias = Callable[[str], str | Mapping[str, str] | None]
    Required: TypeAlias = Callable[[Request, Flow], bool]

__all__ = ["DigestAuthenticator", "bounded"]

_log = Logger()

_MADE = struct.Struct(">d")
_SALT = 8
_MOST_NONCES = 4096
_SEAL = 16
_QUOTED = ("realm", "nonce", "qop")
_PASSED = Judgement()
_FAILED = Judgement(status=500)


@final
class DigestAuthenticator:
    """Lets requests pass whose senders know a password.

    ::

        passwords = {"alice": "..."}
        authenticator = DigestAuthenticator("b.example", passwords.get)
        endpoint = SipPeerToPeerEndpoint("sip:bob@b.example", manager, authenticator=authenticator)

    ACK and CANCEL are never asked (RFC 3261 section 22.1); every other request is, within dialogs as well, unless
    *required_for* says otherwise. It can be shared by endpoints.

    :ivar realm: for whose names and passwords.
    """

    __slots__ = (
        "_algorithms",
        "_dummy",
        "_hit",
        "_horizon",
        "_is_proxy",
        "_key",
        "_lifetime",
        "_log",
        "_lookup",
        "_most",
        "_qops",
        "_required",
        "_used",
        "realm",
    )

    def __init__(
        self,
        realm: str,
        lookup: Lookup,
        *,
        algorithms: Iterable[str] = ("SHA-512-256", "SHA-256"),
        qop: Iterable[str] = ("auth",),
        proxy: bool = False,
        required_for: Iterable[str] | Required | None = None,
        nonce_lifetime: float = 300.0,
        allow_md5: bool = False,
    ) -> None:
        """
        :param realm: shown to users, so that they know which password is meant.
        :param lookup: gives the password of a user name, or by algorithm what :func:`sip_p2p.sip.digest.ha1_of` makes
            of it; None for nobody. It is called for every request with credentials, and must not block.
        :param algorithms: one challenge is made for each, in this order (RFC 8760 section 2.3).
        :param qop: ``auth``, ``auth-int`` or both: with the latter the body counts.
        :param proxy: challenge with 407 and Proxy-Authenticate instead of 401, as a proxy does.
        :param required_for: the methods that need it, or a function of request and flow that says whether; by default
            all do.
        :param nonce_lifetime: for how many seconds a nonce can be used.
        :param allow_md5: whether *algorithms* may name MD5 (fault E4).
        :raises ValueError: for a realm that cannot be written, an algorithm or a qop that there is not, MD5 without
            leave, and a time to live that is none.
        """
        if not realm or not realm.isprintable():
            raise ValueError("a realm is text of printable characters")
        self.realm = realm
        self._lookup = lookup
        # RFC 8760 section 2.3: each challenge has another one.
        self._algorithms = tuple(dict.fromkeys(_algorithm(name, allow_md5) for name in algorithms))
        self._qops = tuple(qop)
        if not self._algorithms:
            raise ValueError("an authenticator needs an algorithm")
        if not self._qops or not set(self._qops) <= {"auth", "auth-int"}:
            raise ValueError("qop is 'auth', 'auth-int' or both")
        if not nonce_lifetime > 0:
            raise ValueError(f"a nonce that lives for {nonce_lifetime} s can never be used")
        self._is_proxy = proxy
        self._required = required_for if required_for is None or callable(required_for) else frozenset(required_for)
        self._lifetime = nonce_lifetime
        self._most = _MOST_NONCES
        self._hit: Callable[[str], object] | None = None
        self._log = ThrottledLog(__name__, time.monotonic)
        self._key = os.urandom(32)
        # What is looked at in the place of the password of who does not exist.
        self._dummy = os.urandom(16).hex()
        # The nonces that were used, by when they were made and how often they were: the first used first.
        self._used: dict[bytes, tuple[float, int]] = {}
        # What was made by then, and is not remembered, counts as used.
        self._horizon = float("-inf")

    def within(self, most: int, hit: Callable[[str], object], log: ThrottledLog | None = None) -> None:
        """Remember *most* nonces, tell *hit* of each that gives way, and *log* of failures. The library's own."""
        self._most = most
        self._hit = hit
        self._log = log or self._log

    def judge(self, request: Request, flow: Flow, now: float) -> Judgement:
        """Whether *request* may pass; called by the core (section 8.2: before anything else is looked at).

        :raises MalformedMessage: for credentials that are not well formed (400, fault E5).
        """
        if not self._is_required(request, flow):
            return _PASSED
        presented = parse_presented(request, self.realm, is_proxy=self._is_proxy)
        if presented is None or presented.algorithm not in self._algorithms or presented.qop not in self._qops:
            return self._challenge(flow, now)
        _check_uri(presented, request)
        try:
            ha1, is_known = self._ha1(presented)
        except Exception:
            _log.failure("the look-up of a user of {realm} failed", realm=self.realm)
            return _FAILED
        # Both are computed whatever comes of the first, so that who waits for the answer learns nothing of it.
        knows_password = presented.answers(ha1, request.method, request.body)
        if not (knows_password and is_known):
            # RFC 7616 section 3.4: without the name, which may be a password that was put into the wrong place.
            self._log.warn("{flow} gave a wrong name or password for the realm {realm}", flow=flow, realm=self.realm)
            return self._challenge(flow, now)
        if not self._take(presented, flow, now):
            # RFC 7616 section 3.3: only who knows the password is told that it was the nonce.
            return self._challenge(flow, now, is_stale=True)
        proof = None if self._is_proxy else presented.proof(ha1)
        name = presented.username
        # A name may be a whole address; any other one is a name in the realm.
        return Judgement(name, proof=proof, address=name if "@" in name else f"{name}@{self.realm}")

    def _is_required(self, request: Request, flow: Flow) -> bool:
        required = self._required
        if required is None:
            return True
        return request.method in required if isinstance(required, frozenset) else required(request, flow)

    def _ha1(self, presented: Presented) -> tuple[str, bool]:
        """What stands for the password, and whether there is such a user."""
        found = None if presented.is_hashed else self._lookup(presented.username)
        base = presented.algorithm.removesuffix("-sess")
        password = found if isinstance(found, str) else self._dummy
        # Computed also where it is not needed: each look-up takes as long as every other one.
        ha1 = ha1_of(base, presented.username, self.realm, password)
        if found is None or isinstance(found, str):
            return ha1, found is not None
        kept = next((value for name, value in found.items() if name.lower() == base.lower()), None)
        return (ha1, False) if kept is None else (kept.lower(), True)

    def _challenge(self, flow: Flow, now: float, *, is_stale: bool = False) -> Judgement:
        nonce = self._make_nonce(flow, now)
        name = "Proxy-Authenticate" if self._is_proxy else "WWW-Authenticate"
        fields: list[tuple[str, str]] = []
        for algorithm in self._algorithms:
            params: dict[str, str | None] = {"realm": self.realm, "nonce": nonce}
            if is_stale:
                params["stale"] = "true"
            params |= {"algorithm": algorithm, "qop": ",".join(self._qops)}
            fields.append((name, str(AuthValue("Digest", params, _QUOTED))))
        return Judgement("", 407 if self._is_proxy else 401, tuple(fields))

    # -- nonces --------------------------------------------------------------------------------------------------------

    def _make_nonce(self, flow: Flow, now: float) -> str:
        head = _MADE.pack(now) + os.urandom(_SALT)
        return urlsafe_b64encode(head + self._seal(head, flow)).decode("ascii")

    def _seal(self, head: bytes, flow: Flow) -> bytes:
        # Who has proved a name has it on each of its connections; of everybody else the address is all that is known.
        whose = flow.peer or f"{flow.transport} {flow.remote_host}"
        text = f"{self.realm}\n{whose}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, head + text, "sha256")[:_SEAL]

    def _take(self, presented: Presented, flow: Flow, now: float) -> bool:
        """Whether the nonce is ours, was made for who uses it, is young, and has not been used so often before: then
        it has now."""
        try:
            octets = urlsafe_b64decode(presented.nonce.encode("ascii"))
        except ValueError:
            return False
        head, seal = octets[:-_SEAL], octets[-_SEAL:]
        if len(head) != _MADE.size + _SALT or not hmac.compare_digest(seal, self._seal(head, flow)):
            return False
        (made,) = _MADE.unpack_from(head)
        if not 0 <= now - made <= self._lifetime:
            return False
        before = self._used.get(head)
        if before is None:
            if made <= self._horizon:
                return False
            self._make_room(now)
        elif presented.count <= before[1]:
            return False
        self._used[head] = (made, presented.count)
        return True

    def _make_room(self, now: float) -> None:
        used = self._used
        while used:
            oldest = next(iter(used))
            made = used[oldest][0]
            is_over = now - made > self._lifetime
            if not is_over and len(used) < self._most:
                return
            del used[oldest]
            if not is_over:
                self._horizon = max(self._horizon, made)
                if self._hit is not None:
                    self._hit("digest_nonces")

    def __len__(self) -> int:
        """How many nonces are remembered."""
        return len(self._used)

    def __repr__(self) -> str:
        return f"<DigestAuthenticator {self.realm!r} {', '.join(self._algorithms)}>"


def bounded(authenticator: Authenticator | None, manager: RealTimeConnectionManager) -> Authenticator | None:
    """*authenticator* within the limits of *manager*; one of the application's own as it is."""
    if isinstance(authenticator, DigestAuthenticator):
        log = ThrottledLog(__name__, manager.driver.now, manager.driver.log_bounds)
        authenticator.within(manager.limits.digest_nonces, manager.keeper.limit_hit, log)
    return authenticator


def _check_uri(presented: Presented, request: Request) -> None:
    """RFC 8760 section 2.6: what was hashed may be another URI than the Request-URI, where a proxy has changed that;
    then it names the user whom the request was for at first, which is what To says.

    :raises MalformedMessage: when it is neither (400).
    """
    if presented.uri == request.uri_text:
        return
    hashed, to = parse_uri(presented.uri), request.to.uri
    is_first = isinstance(hashed, SipUri) and isinstance(to, SipUri) and hashed.same_user(to)
    if not is_first and hashed not in (request.uri, to):
        raise MalformedMessage("the uri of the credentials is not that of the request")


def _algorithm(name: str, allow_md5: bool) -> str:
    base = name.upper().removesuffix("-SESS")
    if not is_algorithm(name) or base not in ALGORITHMS:
        raise ValueError(f"{name[:32]!r} is no algorithm of digest authentication: {', '.join(ALGORITHMS)}")
    if base == "MD5" and not allow_md5:
        raise ValueError("MD5 is not allowed: allow_md5=True lets it be asked for")
    return base if len(base) == len(name) else f"{base}-sess"
