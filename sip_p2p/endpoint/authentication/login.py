"""One request of ours whose way is guarded by digest authentication (RFC 3261 sections 22.2 and 22.3, RFC 8760 section
2.4).

A 401 or 407 may hold the challenges of several proxies and of the UAS behind them; those for which there are
credentials are answered together, and the request goes out again with another CSeq. It does so twice at most (fault
E3): a second challenge counts only where it is another realm's, or says that nothing but the nonce was wrong. What a
request carries is decided anew for each flow, since each may lead to somebody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import AuthenticationFailed, MalformedMessage
from sip_p2p.sip.digest import choose, parse_challenges
from sip_p2p.sip.name_addr import parse_name_addr
from sip_p2p.sip.uri import SipUri, parse_uri

if TYPE_CHECKING:
    from sip_p2p.endpoint.authentication.credentials import Credentials, Entry
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.digest import Challenge, ClientNonce
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.target import Target

__all__ = ["Login", "credentials_of", "refusal_of"]

_CREDENTIALS = ("Authorization", "Proxy-Authorization")
_OCTETS_OF_A_FIELD = 512


@final
class Login:
    """What one request answers to challenges.

    :ivar why: why the last challenge was not answered, a realm at a time; empty where there was none.
    :ivar realm: the first realm of which that is said.
    """

    __slots__ = ("_answers", "_credentials", "_manager", "_plan", "_sent", "_tries", "realm", "why")

    def __init__(self, credentials: Credentials, plan: RequestPlan, manager: RealTimeConnectionManager) -> None:
        self._credentials = credentials
        self._plan = plan
        self._manager = manager
        self._tries = 0
        # By the realm, and whether it is a proxy's: what answers a challenge that this request has met.
        self._answers: dict[tuple[str, bool], tuple[Entry, ClientNonce]] = {}
        # What the last try carried, each with the nonce as it was at that time.
        self._sent: list[tuple[ClientNonce, str]] = []
        self.realm = ""
        self.why = ""

    @property
    def octets(self) -> int:
        """About how much longer the request becomes by what it carries."""
        return _OCTETS_OF_A_FIELD * max(len(self._answers), len(self._credentials.known(self._space)))

    @property
    def _space(self) -> str:
        """The host that the request is for: a UAS's challenge is remembered for it and the realm (section 22.2)."""
        plan = self._plan
        try:
            # 22.2: within a dialog the Request-URI is no more than where the peer is at the moment.
            uri = parse_uri(plan.uri) if plan.dialog is None else parse_name_addr(plan.to, "To").uri
        except MalformedMessage:
            return ""
        return uri.host if isinstance(uri, SipUri) else ""

    def sign(self, request: Request, flow: LiveFlow, target: Target) -> None:
        """Add to *request* what it is to carry over *flow*, where *target* is."""
        self._sent = []
        is_dialled = self._is_dialled(flow)
        carried: set[tuple[str, bool]] = set()
        for entry, nonce in (*self._answers.values(), *self._credentials.known(self._space)):
            key = (entry.realm, nonce.challenge.is_proxy)
            if key not in carried and entry.may_go_over(flow, target, is_dialled):
                request.headers.add(*nonce.field(request.method, request.uri_text, request.body))
                carried.add(key)
                self._sent.append((nonce, nonce.nonce))

    def _is_dialled(self, flow: LiveFlow) -> bool:
        return self._plan.dialog is None and not (flow.reliable and flow.is_incoming)

    def is_challenged(self, response: Response, flow: LiveFlow, target: Target) -> bool:
        """Look at a 401 or 407 that came by *flow*.

        :returns: whether the request is to be sent once more; :attr:`why` says why not.
        """
        self.why = self.realm = ""
        offered: dict[tuple[str, bool], list[Challenge]] = {}
        for challenge in parse_challenges(response):
            offered.setdefault((challenge.realm, challenge.is_proxy), []).append(challenge)
        if not offered:
            self._note("", "it holds no challenge that can be answered")
        answered = False
        for key, challenges in offered.items():
            if self._refused(key, challenges):
                return False
            answered = self._take_up(key, challenges, flow, target) or answered
        if answered and self._tries >= self._manager.limits.digest_tries:
            self._manager.keeper.limit_hit("digest_tries")
            self._note(self.realm, f"it was challenged again after {self._tries} answers")
            return False
        self._tries += answered
        return answered

    def _refused(self, key: tuple[str, bool], challenges: list[Challenge]) -> bool:
        """22.1: who has answered, and is challenged again because of more than the nonce, has the wrong password."""
        before = self._answers.get(key)
        if before is None:
            return False
        entry, nonce = before
        is_stale = any(each.is_stale and each.nonce != nonce.nonce for each in challenges)
        if not is_stale:
            self._credentials.forget(nonce)
            del self._answers[key]
            self._note(key[0], f"the credentials of {entry.username!r} were refused")
        return not is_stale

    def _take_up(self, key: tuple[str, bool], challenges: list[Challenge], flow: LiveFlow, target: Target) -> bool:
        credentials = self._credentials
        entry = credentials.find(key[0], flow, target, self._is_dialled(flow))
        if entry is None:
            self._note(key[0], credentials.why_not(key[0]))
            return False
        challenge = choose(challenges, entry.algorithms)
        if challenge is None:
            offered = ", ".join(dict.fromkeys(each.algorithm for each in challenges))
            self._note(key[0], f"it asks for {offered}, which the credentials for it do not allow")
            return False
        # RFC 7616 section 3.4: whatever has answered this very nonce, for this request or another, is counted on.
        answered = [nonce for nonce, _ in self._sent]
        answered += [nonce for whose, nonce in credentials.known(self._space) if whose is entry]
        nonce = next((each for each in answered if _is_same(each, challenge)), None)
        if nonce is None:
            nonce = entry.answering(challenge, self._manager.tokens.token())
        self._answers[key] = (entry, nonce)
        if credentials.remember(entry, self._space, nonce, self._manager.limits.digest_nonces):
            self._manager.keeper.limit_hit("digest_nonces")
        return True

    def _note(self, realm: str, why: str) -> None:
        words = f"the realm {realm[:64]!r}: {why}" if realm else why
        self.why = f"{self.why}; {words}" if self.why else words
        self.realm = self.realm or realm

    def hear_success(self, response: Response) -> str:
        """Look at a 2xx (RFC 7616 section 3.5: Authentication-Info).

        :returns: what is wrong with the proof that the peer gives of itself; empty where nothing is.
        """
        for nonce, hashed in self._sent:
            if not nonce.hear_info(response, self._plan.uri, hashed):
                self._credentials.forget(nonce)
                self.realm = nonce.challenge.realm
                return f"the realm {self.realm[:64]!r}: who answered does not know the password (rspauth)"
        return ""


def refusal_of(response: Response, login: Login | None) -> AuthenticationFailed | None:
    """What a final response comes to that says that we are not authenticated; None for every other one.

    :param login: what its request had answered; None where the party has no credentials at all.
    """
    if response.status not in (401, 407):
        return None
    if login is not None:
        return AuthenticationFailed(response, login.realm, login.why)
    realms = dict.fromkeys(challenge.realm for challenge in parse_challenges(response))
    shown = ", ".join(repr(realm[:64]) for realm in realms)
    why = f"the realm {shown}: there are no credentials for it" if shown else "there are no credentials"
    return AuthenticationFailed(response, next(iter(realms), ""), why)


def credentials_of(request: Request) -> tuple[tuple[str, str], ...]:
    """The credentials that *request* carries, as its ACK has to repeat them."""
    return tuple((name, value) for name in _CREDENTIALS for value in request.headers.get_all(name))


def _is_same(known: ClientNonce, challenge: Challenge) -> bool:
    one = known.challenge
    whose = (one.realm, one.is_proxy, one.algorithm, known.nonce)
    return whose == (challenge.realm, challenge.is_proxy, challenge.algorithm, challenge.nonce)
