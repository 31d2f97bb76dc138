"""A registrar for tests: what RFC 3261 section 10.3 asks of one, as far as a test needs it, and what it can do
wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from sip_p2p import FromPolicy, NameAddr, SipEndpoint
from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.fields import parse_contact, parse_name_addr
from sip_p2p.testing import Network
from sip_p2p.transport.trust.credential import Credential
from tests.support import SynchronousTestCase

__all__ = ["RegistrarTestCase", "TestRegistrar"]


class _Bound:
    """One binding that the registrar keeps."""

    def __init__(self, contact: NameAddr, expires_at: float, flow: Any) -> None:
        self.contact = contact
        self.expires_at = expires_at
        self.flow = flow


class TestRegistrar:
    """A server of ``example.com``.

    :ivar seen: the REGISTERs that came, those that were refused among them.
    :ivar bindings: by instance and number of the flow.
    :ivar answers: what the next REGISTERs are answered instead, first one first: statuses, or functions that answer.
    :ivar least: the shortest time that it takes; 0 for any.
    :ivar most: the longest time that it grants.
    :ivar fields: further header fields of its 2xx.
    :ivar gruu: whether it gives GRUUs.
    """

    def __init__(self, network: Network, name: str = "example.com", **options: Any) -> None:
        manager = {"from_policy": FromPolicy.any_from(), **options}
        if name != "example.com":
            manager["certificate"] = Credential.from_pem(network.authority.issue(name, "example.com").pem)
        self.party = network.party(f"sip:registrar@{name}", manager=manager)
        self.manager = self.party.connection_manager
        self._network = network
        self.seen: list[IncomingRequest] = []
        self.bindings: dict[tuple[str | None, str | None], _Bound] = {}
        self.answers: list[int | Callable[[IncomingRequest], Any]] = []
        self.least = 0
        self.most = 7200
        self.fields: list[tuple[str, str]] = []
        self.gruu = False
        self.outbound = True
        self._given = 0
        self.party.handle("REGISTER", self._register)

    def _register(self, incoming: IncomingRequest) -> Any:
        self.seen.append(incoming)
        if self.answers:
            answer = self.answers.pop(0)
            return answer if isinstance(answer, int) else answer(incoming)
        headers = incoming.request.headers
        expires = min(int(headers.get("Expires") or "3600"), self.most)
        if 0 < expires < self.least:
            return incoming.response(423, headers=[("Min-Expires", str(self.least))])
        for contact in parse_contact(headers.get("Contact") or "") or ():
            key = (contact.params.get("+sip.instance"), contact.params.get("reg-id"))
            if expires:
                self.bindings[key] = _Bound(contact, self._now() + expires, incoming.flow)
            else:
                self.bindings.pop(key, None)
        return self._listing(incoming)

    def _now(self) -> float:
        return float(self._network.seconds())

    def _listing(self, incoming: IncomingRequest) -> Any:
        response = incoming.response(200, headers=self.fields)
        for bound in self.standing():
            params = dict(bound.contact.params)
            params["expires"] = str(int(bound.expires_at - self._now()))
            if self.gruu:
                self._given += 1
                params["pub-gruu"] = "sip:alice@example.com;gr=one"
                params["temp-gruu"] = f"sip:tgruu.{self._given}@example.com;gr"
            response.headers.add("Contact", str(bound.contact.with_params(params)))
        if self.outbound and "outbound" in (incoming.request.headers.get("Supported") or ""):
            response.headers.add("Require", "outbound")
        return response

    def standing(self) -> list[_Bound]:
        """What has not run out."""
        return [bound for bound in self.bindings.values() if bound.expires_at > self._now()]

    def times(self) -> list[str | None]:
        """The Expires of all REGISTERs."""
        return [incoming.request.headers.get("Expires") for incoming in self.seen]

    def contacts(self) -> list[str]:
        """The Contact of all REGISTERs."""
        return [incoming.request.headers.get("Contact") or "" for incoming in self.seen]

    def pass_on(self, text: str, number: int = 0, sender: str = "sip:bob@elsewhere.example") -> None:
        """Send a MESSAGE to the party over the flow that its binding came by, as a proxy does."""
        bound = self.standing()[number]
        tokens = self.manager.tokens
        plan = RequestPlan("MESSAGE", bound.contact.uri_text, f"<{sender}>", tokens.tag(), tokens.call_id())
        plan.to = "<sip:alice@example.com>"
        plan.body, plan.content_type = text.encode(), "text/plain"
        self.manager.driver.request(plan.build(), bound.flow, None)


class RegistrarTestCase(SynchronousTestCase):
    """Alice's telephone, which listens for nobody, and the server of her domain."""

    def setUp(self) -> None:
        """Both on one clock."""
        self.network = Network(delay=0.01)
        self.addCleanup(self.network.finish)
        self.registrar = self.make_registrar()
        self.changes: list[str] = []

    def make_registrar(self) -> TestRegistrar:
        """The server."""
        return TestRegistrar(self.network)

    def alice(self, uri: str = "sip:alice@example.com", **options: Any) -> SipEndpoint:
        """Her telephone."""
        manager = options.pop("manager", None)
        host = options.pop("holder", "phone.example")
        holder = self.network.party(f"sip:holder@{host}", listen=options.pop("listen", ()), manager=manager)
        alice = SipEndpoint(uri, holder.connection_manager, **options)
        alice.registration_changed.subscribe(lambda change: self.changes.append(change.state.value))
        return alice

    def register(self, alice: SipEndpoint, *arguments: Any, **options: Any) -> Any:
        """Its registration, once it stands."""
        return self.network.run_until(alice.register(*arguments, **options))

    def contact(self, index: int = -1) -> NameAddr:
        """The Contact of one REGISTER."""
        return parse_name_addr(cast("str", self.registrar.contacts()[index]), "Contact")
