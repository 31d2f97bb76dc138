"""Where a dialog's requests go, who may be there, and what holds the connection."""

from __future__ import annotations

from typing import Any

from sip_p2p.endpoint.session.dialog_flow import DialogFlows, Hop
from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.uri import parse_uri
from sip_p2p.transport.flow import LiveFlow
from sip_p2p.transport.proxy import ProxyConnector
from sip_p2p.transport.target import Target, Transport
from tests.sip.dialog.dialogs import caller_dialog
from tests.support import SynchronousTestCase


class AnyFlow(LiveFlow):
    """A flow to 192.0.2.9 on which the peer proved what it is told to."""

    __slots__ = ("_names",)

    def __init__(
        self,
        transport: str = "TLS",
        *names: str,
        is_incoming: bool = False,
        remote: tuple[str, int] = ("192.0.2.9", 5061),
    ) -> None:
        super().__init__(
            transport, transport != "UDP", "here.example", ("192.0.2.1", 40000), remote, is_incoming=is_incoming
        )
        self.peer = " ".join(sorted(names))
        self._names = names

    def proves(self, host: str) -> bool:
        """As the certificate of a connection."""
        return host in self._names


class Party:
    """What a hop asks of an endpoint."""

    def __init__(self, proxy: ProxyConnector | None = None, default_transport: Transport = Transport.UDP) -> None:
        self.proxy = proxy
        self.default_transport = default_transport


class Opened:
    """What a hop asks of the pool: the flow that the peer has opened."""

    def __init__(self, flow: LiveFlow | None = None) -> None:
        self.flow = flow
        self.asked: list[str] = []

    def opened_by(self, peer: str) -> LiveFlow | None:
        """The flow that there is."""
        self.asked.append(peer)
        return self.flow


def hop(dialog: Dialog, party: Party | None = None) -> Hop:
    """Where the next request of *dialog* goes."""
    plan = dialog.plan("INFO")
    return Hop(plan, dialog, party or Party())  # type: ignore[arg-type]


def where(dialog: Dialog, party: Party | None = None) -> tuple[str, str, int, str]:
    """The same in words: over what, to which host and port, and the name to be proved there."""
    target = hop(dialog, party).target
    return target.transport.value, target.host, target.port, target.name


def own(made: Hop, pool: Opened | None = None) -> Any:
    """The flow that serves without dialling."""
    return made.own_flow(pool or Opened())  # type: ignore[arg-type]


class TargetTests(SynchronousTestCase):
    """What a new connection leads to, and what it has to prove."""

    def test_contacts(self) -> None:
        """A Contact says where, and never who: the identity is that of the dialog (fault:D8, fault:F12)."""
        for names, contact, expected in (
            # The domain of the peer's address is proved, wherever the Contact leads.
            (("b.example",), "<sip:b@192.0.2.2:5071;transport=tls>", ("TLS", "192.0.2.2", 5071, "b.example")),
            (("b.example",), "<sip:b@evil.example;transport=tls>", ("TLS", "evil.example", 5061, "b.example")),
            (("b.example",), "<sip:b@b.example;transport=tls>", ("TLS", "b.example", 5061, "b.example")),
            (("b.example", "x.example"), "<sip:b@192.0.2.2>", ("TLS", "192.0.2.2", 5061, "b.example")),
            # A host of its own that the certificate proves is as good.
            (("b.example", "b1.b.example"), "<sip:b@b1.b.example>", ("TLS", "b1.b.example", 5061, "b1.b.example")),
            (("192.0.2.2",), "<sip:b@192.0.2.2>", ("TLS", "192.0.2.2", 5061, "192.0.2.2")),
            # A gateway that speaks for others is known by what it proved itself.
            (("gw.example",), "<sip:b@192.0.2.2>", ("TLS", "192.0.2.2", 5061, "gw.example")),
            (("gw.example",), "<sip:b@evil.example>", ("TLS", "evil.example", 5061, "gw.example")),
            # What is clear text in the Contact is TLS all the same, and not at the port for clear text.
            (("b.example",), "<sip:b@evil.example;transport=udp>", ("TLS", "evil.example", 5061, "b.example")),
            (("b.example",), "<sip:b@evil.example:5060;transport=tcp>", ("TLS", "evil.example", 5061, "b.example")),
            (("b.example",), "<sip:b@[2001:db8::2]:5071>", ("TLS", "2001:db8::2", 5071, "b.example")),
            (("b.example",), "<sips:b@192.0.2.2>", ("TLS", "192.0.2.2", 5061, "b.example")),
            (("b.example",), "<sips:b@192.0.2.2;transport=ws>", ("WSS", "192.0.2.2", 443, "b.example")),
        ):
            dialog = caller_dialog(AnyFlow("TLS", *names), contact=contact)
            self.assertEqual(where(dialog), expected, (names, contact))

    def test_nobody_verified(self) -> None:
        """Where nobody was verified the URI is all that there is; without a transport it is the one that the peer was
        heard by (RFC 3263 section 4.1)."""
        for transport, contact, expected in (
            ("TCP", "<sip:b@192.0.2.2>", ("TCP", "192.0.2.2", 5060, "192.0.2.2")),
            ("TCP", "<sip:b@192.0.2.2;transport=udp>", ("UDP", "192.0.2.2", 5060, "192.0.2.2")),
            ("UDP", "<sip:b@h.example:5070>", ("UDP", "h.example", 5070, "h.example")),
            ("TLS", "<sip:b@h.example;transport=tcp>", ("TLS", "h.example", 5061, "h.example")),
        ):
            dialog = caller_dialog(AnyFlow(transport), contact=contact)
            self.assertEqual(where(dialog), expected, (transport, contact))
        dialog = caller_dialog(AnyFlow("TCP"), contact="<sip:b@192.0.2.2>")
        dialog.flow = None
        self.assertEqual(where(dialog), ("UDP", "192.0.2.2", 5060, "192.0.2.2"))

    def test_not_to_this_machine(self) -> None:
        """A peer elsewhere that names loopback, of which nothing was verified, is where it was heard; one on this
        machine is where it says (fault:D8)."""
        for contact, route in (("<sip:b@127.0.0.1:22>", ""), ("<sip:b@b.example>", "<sip:localhost:22;lr>")):
            routes = (route,) if route else ()
            for transport in ("UDP", "TCP"):
                dialog = caller_dialog(AnyFlow(transport), contact=contact, record_route=routes)
                self.assertEqual(where(dialog), (transport, "192.0.2.9", 5061, "192.0.2.9"))
                dialog.flow = None
                with self.assertRaises(ConnectionFailure):
                    hop(dialog)
            near = caller_dialog(AnyFlow("UDP", remote=("127.0.0.1", 5060)), contact=contact, record_route=routes)
            self.assertEqual(where(near)[2], 22)

    def test_routes(self) -> None:
        """A proxy of the route set proves its own name; one that is given by its address has to be the party that the
        dialog was made with (RFC 3261 section 12.2.1.1, fault:D8)."""
        for route, expected in (
            ("<sip:p.example;lr>", ("TLS", "p.example", 5061, "p.example")),
            ("<sip:p.example:5071;transport=tls;lr>", ("TLS", "p.example", 5071, "p.example")),
            ("<sip:192.0.2.9;transport=udp;lr>", ("TLS", "192.0.2.9", 5061, "b.example")),
            # A strict router stands in the Request-URI.
            ("<sip:p.example>", ("TLS", "p.example", 5061, "p.example")),
        ):
            dialog = caller_dialog(AnyFlow("TLS", "b.example"), record_route=(route,))
            self.assertEqual(where(dialog), expected, route)

    def test_outbound_proxy(self) -> None:
        """A route to our outbound proxy leads there as the proxy was configured: by its client endpoint, and proving
        what it is to prove (row:A7)."""
        way = object()
        connector = ProxyConnector(Target(Transport.TLS, "p.example", 5071, "certified.example"), way)  # type: ignore[arg-type]
        dialog = caller_dialog(
            AnyFlow("TLS", "certified.example"), record_route=("<sip:p.example:5071;transport=tls;lr>",)
        )
        made = hop(dialog, Party(connector))
        self.assertEqual((made.target, made.through), (connector.target, way))
        direct = hop(caller_dialog(AnyFlow("TLS", "b.example"), contact="<sip:b@p.example>"), Party(connector))
        self.assertEqual((direct.through, direct.target.name), (None, "b.example"))

    def test_nowhere(self) -> None:
        """A target that is no SIP URI, or that names what cannot be, is a connection that fails."""
        for target in ("tel:+15550100", "sip:b@192.0.2.2;transport=sctp", "sip:b@192.0.2.2;maddr=a%20b"):
            dialog = caller_dialog(AnyFlow("TCP"))
            dialog.remote_target = parse_uri(target)
            with self.assertRaises(ConnectionFailure):
                hop(dialog)


class OwnFlowTests(SynchronousTestCase):
    """When the flow by which the peer was heard last serves, and who may be at its other end."""

    def test_own_flow(self) -> None:
        """An open flow of the verified peer serves wherever the Contact leads; in clear text it has to lead there, and
        a proxy's has to be the proxy's (row:E7, fault:G3)."""
        verified, secure = ("TLS", "b.example"), ("TLS",)
        for made_by, record_route, contact, serves in (
            (verified, "", "<sip:b@192.0.2.2;transport=tls>", True),
            (verified, "", "<sip:b@evil.example;transport=udp>", True),
            (secure, "", "<sip:b@192.0.2.2;transport=tls>", True),
            (verified, "<sip:p.example;lr>", "<sip:b@192.0.2.2>", False),
            (verified, "<sip:b.example;lr>", "<sip:b@192.0.2.2>", True),
            (verified, "<sip:192.0.2.9:5061;transport=tls;lr>", "<sip:b@192.0.2.2>", True),
            (verified, "<sip:192.0.2.9:5099;transport=tls;lr>", "<sip:b@192.0.2.2>", False),
            (("TCP",), "", "<sip:b@192.0.2.9:5061;transport=tcp>", True),
            (("TCP",), "", "<sip:b@192.0.2.9:5062;transport=tcp>", False),
            (("TCP",), "", "<sip:b@192.0.2.9:5061;transport=udp>", False),
            (("TCP",), "", "<sip:b@192.0.2.2:5061;transport=tcp>", False),
            (("TCP",), "", "<sip:b@h.example;transport=tcp>", False),
            # RFC 5626 section 4.3, RFC 7118: nothing but this flow leads there.
            (("TCP",), "", "<sip:b@10.0.0.1;transport=tcp;ob>", True),
            (("UDP",), "", "<sip:b@10.0.0.1;ob>", True),
            (("WS",), "", "<sip:b@a1b2.invalid;transport=ws>", True),
            # A port of UDP is found anew, so that what we write is not held for an answer to a stranger.
            (("UDP",), "", "<sip:b@192.0.2.9:5061>", False),
        ):
            flow = AnyFlow(*made_by)
            dialog = caller_dialog(flow, contact=contact, record_route=(record_route,) if record_route else ())
            self.assertIs(own(hop(dialog)), flow if serves else None, (made_by, record_route, contact))

    def test_port_of_the_peer(self) -> None:
        """The port of a connection that the peer has opened is any."""
        flow = AnyFlow("TCP", is_incoming=True, remote=("192.0.2.9", 50123))
        self.assertIs(own(hop(caller_dialog(flow, contact="<sip:b@192.0.2.9;transport=tcp>"))), flow)

    def test_closed(self) -> None:
        """A flow that is closed serves nobody; a peer that no other way leads to may have opened another one."""
        flow, other = AnyFlow("TLS", "b.example"), AnyFlow("TLS", "b.example", is_incoming=True)
        for contact, serves in (("<sip:b@b.example;ob>", other), ("<sip:b@b.example>", None)):
            dialog = caller_dialog(flow, contact=contact)
            flow.is_open = False
            self.assertIs(own(hop(dialog), Opened(other)), serves, contact)
            dialog.flow = None
            self.assertIs(own(hop(dialog), Opened(other)), serves, contact)

    def test_who_may_be_there(self) -> None:
        """A request of a verified dialog is written to the same identity, to whoever proves the domain of the peer's
        address, and to nobody else; what was made over TLS never leaves it (fault:D8, fault:F12)."""
        verified = AnyFlow("TLS", "b.example", "x.example")
        table = (
            (verified, "", AnyFlow("TLS", "b.example", "x.example"), True),
            (verified, "", AnyFlow("TLS", "b.example"), True),
            (verified, "", AnyFlow("TLS", "x.example"), False),
            (verified, "", AnyFlow("TLS", "evil.example"), False),
            (verified, "", AnyFlow("TLS"), False),
            (verified, "", AnyFlow("TCP"), False),
            (verified, "<sip:p.example;lr>", AnyFlow("TLS", "p.example"), True),
            (verified, "<sip:p.example;lr>", AnyFlow("TLS", "evil.example"), False),
            (verified, "<sip:p.example;lr>", AnyFlow("TCP"), False),
            (verified, "<sip:192.0.2.7;lr>", AnyFlow("TLS", "b.example"), True),
            (verified, "<sip:192.0.2.7;lr>", AnyFlow("TLS", "evil.example"), False),
            (AnyFlow("TLS"), "", AnyFlow("TLS", "any.example"), True),
            (AnyFlow("TLS"), "", AnyFlow("UDP"), False),
            (AnyFlow("TCP"), "", AnyFlow("UDP"), True),
        )
        for made_by, route, flow, may in table:
            dialog = caller_dialog(made_by, contact="<sip:b@evil.example>", record_route=(route,) if route else ())
            self.assertIs(hop(dialog).may_carry(flow), may, (made_by, route, flow))

    def test_opened_by_peer(self) -> None:
        """Where a peer cannot be dialled, a connection of its own serves; never a proxy's, and never one of somebody
        whom nobody has verified."""
        other = AnyFlow("TLS", "b.example", is_incoming=True)
        for made_by, route, serves in (
            (AnyFlow("TLS", "b.example"), "", other),
            (AnyFlow("TLS", "b.example"), "<sip:p.example;lr>", None),
            (AnyFlow("TLS"), "", None),
            (AnyFlow("TCP"), "", None),
        ):
            pool = Opened(other)
            made = hop(caller_dialog(made_by, record_route=(route,) if route else ()))
            self.assertIs(made.opened_by_peer(pool), serves, (made_by, route))  # type: ignore[arg-type]
            self.assertEqual(pool.asked, ["b.example"] if serves else [])

    def test_peer_without_a_domain(self) -> None:
        """A peer whose address has no domain is known by its identity alone."""
        dialog = caller_dialog(AnyFlow("TLS", "gw.example"), contact="<sip:b@192.0.2.2>")
        dialog.remote = "<tel:+15550100>"
        self.assertEqual(where(dialog)[3], "gw.example")
        self.assertFalse(hop(dialog).may_carry(AnyFlow("TLS", "b.example")))
        self.assertTrue(hop(dialog).may_carry(AnyFlow("TLS", "gw.example")))
        dialog.remote_target = parse_uri("tel:+15550100")
        with self.assertRaises(ConnectionFailure):
            hop(dialog)


class LeaseTests(SynchronousTestCase):
    """Each dialog holds its flow, and nothing else."""

    def setUp(self) -> None:
        self.flows = DialogFlows()
        self.flow, self.other = AnyFlow("TLS", "b.example"), AnyFlow("TLS", "b.example")

    def test_life(self) -> None:
        """A flow is held by each dialog on it, and let go with the last one (row:E7)."""
        one, two = caller_dialog(self.flow), caller_dialog(self.flow)
        for dialog in (one, two, one):
            self.flows.hold(dialog)
        self.assertEqual((self.flow.leases, len(self.flows)), (2, 2))
        self.flows.release(one)
        self.flows.release(one)
        self.assertEqual(self.flow.leases, 1)
        self.flows.release(two)
        self.assertEqual((self.flow.leases, len(self.flows)), (0, 0))

    def test_another_flow(self) -> None:
        """A dialog whose peer was heard by another flow holds that one, and no longer the first (row:E7)."""
        dialog = caller_dialog(self.flow)
        self.flows.hold(dialog)
        dialog.flow = self.other
        self.flows.hold(dialog)
        self.assertEqual((self.flow.leases, self.other.leases), (0, 1))
        self.assertEqual(self.flows.lost(self.flow), [])
        dialog.flow = None
        self.flows.hold(dialog)
        self.assertEqual((self.other.leases, len(self.flows)), (0, 0))

    def test_lost(self) -> None:
        """A lost flow tells whose it was, once; a dialog that has been heard elsewhere keeps that (row:H32)."""
        one, two, three = (caller_dialog(self.flow) for _ in range(3))
        for dialog in (one, two, three):
            self.flows.hold(dialog)
        self.flows.release(two)
        three.flow = self.other
        self.assertEqual(self.flows.lost(self.flow), [one, three])
        self.assertEqual((one.flow, three.flow), (None, self.other))
        self.assertEqual((self.flow.leases, len(self.flows), self.flows.lost(self.flow)), (0, 0, []))

    def test_closed(self) -> None:
        """A flow that is closed already is not held."""
        self.flow.is_open = False
        self.flows.hold(caller_dialog(self.flow))
        self.assertEqual((self.flow.leases, len(self.flows)), (0, 0))
