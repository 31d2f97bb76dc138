"""The pool under any sequence of events: no connection for a name that it did not prove, none with less than was asked
for, and nothing left over."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred

from sip_p2p.errors import SipError
from sip_p2p.sip.parse import parse_message
from sip_p2p.testing import Network
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.target import Target
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import request
from tests.transport.sides import Side
from tests.transport.tls_pairs import party_credential

NAMES = ("b.example", "c.example", "a.example", "victim.example")
HOSTS = ("bob", "carol")
CREDENTIALS = {name: party_credential(name) for name in ("a.example", "a2.example")}

names = st.sampled_from(NAMES)
places = st.sampled_from(("b", "c", "b c", "c b", "name"))
transports = st.sampled_from(("tls", "tcp"))
ports = st.sampled_from((None, 5061, 5060, 9))


class PoolMachine(RuleBasedStateMachine):
    """Alice dials Bob and Carol and is dialled by Bob, who also claims to be others."""

    @initialize()
    def begin(self) -> None:
        """Three sides on one clock. The names of both domains lead to either host."""
        self.network = Network(delay=0.02)
        limits = Limits(idle_timeout=0, authenticated_first_message_timeout=1e6, first_message_timeout=1e6)
        self.alice = Side(self.network, "a.example", limits=limits)
        self.bob = Side(self.network, "b.example", limits=limits)
        self.carol = Side(self.network, "c.example", limits=limits)
        self.network.name("victim.example", self.bob.address)
        for side in (self.alice, self.bob, self.carol):
            side.listen("TLS", 5061)
            side.listen("TCP", 5060)
        self.waiting: list[tuple[Target, Deferred[Any], list[Any]]] = []
        self.leases: list[Any] = []
        self.credential = "a.example"

    def group(self, place: str, target: Target) -> list[Target]:
        """What DNS may make of a target, in good faith or not."""
        if place == "name":
            return [target]
        addresses = {"b": self.bob.address, "c": self.carol.address}
        return [target.at(addresses[each], origin="sip.example") for each in place.split()]

    @rule(wanted=st.lists(names, min_size=1, max_size=3), place=places, transport=transports, port=ports)
    def dial(self, wanted: list[str], place: str, transport: str, port: int | None) -> None:
        """Some ask for connections, of one name or of several at one place."""
        for name in wanted:
            asked = Target(transport, name, port)
            outcome: list[Any] = []
            try:
                connecting = self.alice.pool.connect(self.group(place, asked), None, asked)
            except SipError as error:
                raise AssertionError(f"{asked} is a proper thing to ask for") from error
            connecting.addBoth(outcome.append)
            self.waiting.append((asked, connecting, outcome))

    @rule(name=names, wrong=names, transport=transports)
    def led_astray(self, name: str, wrong: str, transport: str) -> None:
        """DNS names somebody else, or less."""
        asked = Target("tls", name)
        other = Target(transport, wrong).at(self.bob.address)
        if other.name != asked.name or other.transport is not asked.transport:
            try:
                self.alice.pool.connect([other], None, asked)
            except SipError:
                return
            raise AssertionError(f"{other} was taken for {asked}")

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """Somebody does not want to wait any more."""
        _, connecting, _ = data.draw(st.sampled_from(self.waiting))
        connecting.cancel()

    @rule(seconds=st.sampled_from((0.0, 0.02, 0.05, 0.3, 1.0, 40.0)))
    def pass_time(self, seconds: float) -> None:
        """Time passes: connections come about, fail, are closed after their last use."""
        self.network.advance(seconds)

    @rule(size=st.sampled_from((1, 2, 3, None)), name=names)
    def resize(self, size: int | None, name: str) -> None:
        """The application wants more or fewer."""
        self.alice.pool.set_size(name, size)

    @precondition(lambda self: len(self.alice.pool))
    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        """Somebody holds a connection."""
        self.leases.append(data.draw(st.sampled_from(list(self.alice.pool))).lease())

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """And lets it go."""
        lease = data.draw(st.sampled_from(self.leases))
        self.leases.remove(lease)
        lease.release()

    @rule(who=st.sampled_from(HOSTS), in_order=st.booleans())
    def lose(self, who: str, in_order: bool) -> None:
        """A peer closes its connections, or they are cut."""
        side = self.bob if who == "bob" else self.carol
        if in_order:
            for flow in side.pool:
                flow.close()
        else:
            self.network.cut(self.alice.host, side.host)

    @rule()
    def dialled_by_bob(self) -> None:
        """Bob opens a connection to us."""
        self.bob.pool.connect(Target("tls", "a.example")).addErrback(lambda _: None)

    @rule(host=names, port=st.sampled_from((5061, 5060, 9)))
    def alias(self, host: str, port: int) -> None:
        """On every connection that was opened to us the peer claims to be at some place."""
        claim: Any = parse_message(request(via=f"TLS {host}:{port};alias"))
        for flow in self.alice.pool:
            if flow.is_incoming:
                flow.presents(claim.via)

    @rule()
    def renew(self) -> None:
        """Our certificate is replaced."""
        assert self.alice.settings is not None
        self.credential = "a2.example" if self.credential == "a.example" else "a.example"
        self.alice.settings.replace(credential=CREDENTIALS[self.credential])

    def judge(self, asked: Target, flow: Any) -> None:
        """Whether *flow* may carry a request for *asked*."""
        if asked.transport.is_secure:
            assert flow.is_secure, f"{flow} for {asked}"
        if flow.is_secure:
            verified = flow.verified
            assert verified.identities.matches(asked.name) is not None, f"{flow} for {asked}"
        else:
            assert not flow.is_incoming, f"{flow} for {asked}"
            assert flow.aliases == set()

    @invariant()
    def nobody_has_a_wrong_one(self) -> None:
        """Never a connection for a name that it did not prove, never less than TLS where TLS was asked for."""
        for asked, _, outcome in self.waiting:
            if outcome and hasattr(outcome[0], "transport"):
                self.judge(asked, outcome[0])
        for name in NAMES:
            for transport in ("tls", "tcp"):
                for port in (None, 5061, 9):
                    asked = Target(transport, name, port)
                    flow = self.alice.pool.find(asked)
                    if flow is not None:
                        assert flow.is_open
                        self.judge(asked, flow)

    @invariant()
    def held_ones_are_counted(self) -> None:
        """A connection is held as often as there are leases of it."""
        for flow in self.alice.pool:
            assert flow.leases == sum(lease.flow is flow for lease in self.leases)

    def teardown(self) -> None:
        """Everybody who waited has an outcome in the end, and nothing is left open or pending."""
        if not hasattr(self, "network"):
            return
        for lease in self.leases:
            lease.release()
        self.network.advance(60)
        for asked, _, outcome in self.waiting:
            assert len(outcome) == 1, f"{asked}: {outcome}"
        assert self.alice.pool.dialling == 0
        for side in (self.alice, self.bob, self.carol):
            side.close()
            assert (len(side.pool), side.pool.dialling, side.pool.resting) == (0, 0, 0)
        self.network.assert_quiet()


class PoolModelTests(SynchronousTestCase):
    """The pool, by its rules."""

    def test_any_sequence(self) -> None:
        """Dial, succeed, fail, lose, hold, release and claim a name, in any order: never a connection for a name that
        it did not prove, never less than TLS for TLS, nothing left over (fault:G1, fault:G2, fault:G3, fault:G4,
        fault:J2)."""
        run_state_machine_as_test(
            PoolMachine,
            settings=settings(
                max_examples=40,
                stateful_step_count=30,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
