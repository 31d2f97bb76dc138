"""INVITEs, requests in dialogs and ACKs on their way: which server gets them, and what their owner hears."""

from __future__ import annotations

from typing import Any

from sip_p2p import ConnectionFailure, EndpointTerminated, Limits, OperationTimeout, Target, TlsFailure
from sip_p2p.endpoint.session.errands import Errands
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import AckWanted, Errand, Purpose
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.uri import parse_uri
from sip_p2p.testing import Network
from tests.endpoint.session.support import Owner, Server, errand, reply
from tests.support import SynchronousTestCase

BOB_AT_HOME = ("Contact", "<sip:bob@b.example;transport=tls>")


def accepting(request: Request) -> list[Response]:
    """180 and 200 to an INVITE, 200 to everything else."""
    if request.method == "ACK":
        return []
    if request.method != "INVITE":
        return [reply(request, 200)]
    return [reply(request, 180), reply(request, 200, BOB_AT_HOME)]


class ErrandTestCase(SynchronousTestCase):
    """Alice, and servers that answer her."""

    def setUp(self) -> None:
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example", manager={"limits": Limits(connect_timeout=2.0)})
        self.manager = self.alice.connection_manager
        self.errands = Errands(self.manager)
        self.owner = Owner()
        self.servers: list[Server] = []
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """Everything ends, and nothing is left."""
        self.network.advance(70)
        self.assertEqual((len(self.errands), len(self.errands.flows)), (0, 0))
        for server in self.servers:
            server.stop()
        self.network.finish()

    def server(self, host: str = "b.example", proves: str = "b.example", **options: Any) -> Server:
        """One more server."""
        server = Server(self.network, host, proves, **options)
        self.servers.append(server)
        return server

    def two_servers(self) -> tuple[Server, Server]:
        """Two servers of b.example, one before the other in DNS."""
        one, two = self.server("s1.b.example"), self.server("s2.b.example")
        for priority, host in enumerate(("s1.b.example", "s2.b.example")):
            self.network.dns.add(f"_sips._tcp.b.example SRV {priority} 0 5061 {host}")
        return one, two

    def run_errand(self, seconds: float = 1.0, uri: str = "sip:bob@b.example", **options: Any) -> Errand:
        """An INVITE, and what happens in so many seconds."""
        wanted = errand(self.owner, self.alice, uri)
        self.errands.run(wanted, self.alice, **options)
        self.network.advance(seconds)
        return wanted

    def dialog(self, contact: str = "<sip:bob@b.example;transport=tls>", proves: str = "b.example") -> Dialog:
        """A dialog with Bob that a 200 has made."""
        server = self.server(proves=proves, answer=lambda request: [reply(request, 200, ("Contact", contact))])
        wanted = self.run_errand()
        dialog = Dialog.of_caller(server.requests[0], self.owner.responses[-1], self.owner.flows[-1])
        self.manager.core.dialogs.add(dialog)
        self.addCleanup(self.end, dialog)
        self.errands.heard(dialog)
        self.assertEqual(self.owner.heard, [200])
        self.assertIsNotNone(wanted.transaction)
        self.owner.heard.clear()
        return dialog

    def end(self, dialog: Dialog) -> None:
        """The dialog is over."""
        self.manager.core.dialogs.discard(dialog)
        self.errands.dialog_ended(dialog)

    def ask(self, dialog: Dialog, method: str = "INFO", seconds: float = 1.0) -> Errand:
        """A request in the dialog, and what happens in so many seconds."""
        wanted = Errand(self.owner, dialog.plan(method), Purpose.BYE if method == "BYE" else Purpose.OTHER)
        self.errands.run(wanted, self.alice)
        self.network.advance(seconds)
        return wanted


class InviteTests(ErrandTestCase):
    """Requests outside of a dialog."""

    def test_everything_is_told(self) -> None:
        """The owner hears each provisional response and each 2xx with its flow, and nothing is kept once there is a
        final one (RFC 3261 section 13.2.2.4, row:H12)."""
        server = self.server(
            answer=lambda request: [
                reply(request, 100),
                reply(request, 180),
                reply(request, 200, BOB_AT_HOME),
                reply(request, 200, BOB_AT_HOME, tag="other"),
            ]
        )
        wanted = self.run_errand()
        self.assertEqual(self.owner.heard, [100, 180, 200, 200])
        self.assertEqual(len(set(self.owner.flows)), 1)
        self.assertEqual(len(self.errands), 0)
        (request,) = server.requests
        self.assertIs(wanted.transaction.user.errand, wanted)  # type: ignore[union-attr]
        self.assertIn("sip:alice", request.headers["Contact"])

    def test_next_server(self) -> None:
        """A server that answers 503 is followed by the next one, with another branch and otherwise the same INVITE, and
        the owner hears only of that (RFC 3263 section 4.3, row:E24)."""
        one, two = self.two_servers()
        one.answer = lambda request: [reply(request, 503)]
        two.answer = lambda request: [reply(request, 486)]
        self.run_errand(uri="sips:bob@b.example")
        self.assertEqual(self.owner.heard, [486])
        first, second = one.requests[0], two.requests[0]
        self.assertEqual((one.methods, two.methods), (["INVITE", "ACK"], ["INVITE", "ACK"]))
        self.assertNotEqual(first.via.branch, second.via.branch)
        self.assertEqual((first.call_id, str(first.cseq)), (second.call_id, str(second.cseq)))

    def test_between_servers(self) -> None:
        """While the next server is looked for no transaction carries the INVITE: it can be called off without a CANCEL
        (RFC 3261 section 9.1, row:H16)."""
        one, two = self.two_servers()
        one.answer = lambda request: [reply(request, 503)]
        wanted = self.run_errand(0.0, "sips:bob@b.example")
        while not one.methods:
            self.network.advance(0.005)
        self.assertIsNotNone(wanted.transaction)
        while wanted.transaction is not None:
            self.network.advance(0.005)
        self.errands.withdraw(wanted)
        self.network.advance(5)
        self.assertEqual((self.owner.heard, two.requests, len(self.errands)), ([], [], 0))

    def test_unreadable(self) -> None:
        """A response whose To cannot be read is told, and makes no dialog (fault:A17)."""

        def odd(request: Request) -> list[Response]:
            response = reply(request, 180)
            response.headers.set("To", "<sip:bob@b.example>;tag=a;tag=b")
            return [response] if request.method == "INVITE" else []

        self.server(answer=odd)
        self.run_errand()
        self.assertEqual((self.owner.heard, len(self.errands.flows)), ([180], 0))
        self.errands.end(self.alice)

    def test_no_other_server(self) -> None:
        """A 503 that no other server makes good is the owner's to judge; nobody waits for its Retry-After."""
        server = self.server(answer=lambda request: [reply(request, 503, ("Retry-After", "1"))])
        self.run_errand(5)
        self.assertEqual((self.owner.heard, server.methods), ([503], ["INVITE", "ACK"]))

    def test_not_reached(self) -> None:
        """Nobody there, and somebody else there, are failures of which the owner hears once (row:F4)."""
        self.run_errand(10, "sip:bob@nobody.example")
        server = self.server(proves="evil.example")
        self.run_errand(10)
        self.assertEqual(self.owner.heard, [ConnectionFailure, TlsFailure])
        self.assertEqual(server.requests, [])

    def test_no_answer(self) -> None:
        """A server that never answers is a timeout after 64*T1 (RFC 3261 section 17.1.1.2)."""
        self.server()
        self.run_errand(31)
        self.assertEqual(self.owner.heard, [])
        self.network.advance(2)
        self.assertEqual(self.owner.heard, [OperationTimeout])

    def test_nobody_else_once_one_is_at_work(self) -> None:
        """An INVITE whose server was at work when its flow was lost goes to no other one."""
        one, two = self.two_servers()
        one.answer = lambda request: [reply(request, 180)]
        self.run_errand(uri="sips:bob@b.example")
        self.network.cut("a.example", "s1.b.example")
        self.network.advance(1)
        self.assertEqual((self.owner.heard, two.requests), ([180, ConnectionFailure], []))

    def test_where_to(self) -> None:
        """An INVITE goes to another place where it is told to, and by the outbound proxy with a Route (row:E22,
        row:A5)."""
        server = self.server(answer=accepting)
        self.run_errand(uri="sip:anyone@nowhere.example", via=Target("tls", "b.example", 5061))
        self.assertEqual(server.requests[0].uri_text, "sip:anyone@nowhere.example")
        self.alice = self.network.party("sip:carol@a.example", proxy="tls:b.example")
        self.run_errand(uri="sip:anyone@nowhere.example")
        self.assertEqual(self.owner.heard, [180, 200, 180, 200])
        self.assertEqual(server.requests[1].headers["Route"], "<sip:b.example;transport=tls;lr>")

    def test_nowhere(self) -> None:
        """What leads nowhere fails at once (fault:D8)."""
        self.run_errand(0, "sips:bob@b.example", via=Target("tcp", "b.example"))
        self.assertEqual(self.owner.heard, [ConnectionFailure])

    def test_party_goes_away(self) -> None:
        """When the party is terminated, what it has under way fails."""
        self.server()
        for seconds in (0.0, 1.0):
            self.run_errand(seconds, uri="sip:bob@b.example")
        self.assertEqual(self.errands.under_way(self.alice), 2)
        self.errands.end(self.alice)
        self.assertEqual(self.owner.heard, [EndpointTerminated] * 2)
        self.assertEqual(self.errands.under_way(self.alice), 0)


class WithdrawnTests(ErrandTestCase):
    """What is wanted no longer."""

    def test_while_dialling(self) -> None:
        """An INVITE that is called off before it has a flow is never sent, and its owner hears nothing more (RFC 3261
        section 9.1, row:H16, fault:C5)."""
        server = self.server(answer=accepting)
        for seconds in (0.0, 0.015, 0.03):
            wanted = errand(self.owner, self.alice)
            self.errands.run(wanted, self.alice)
            self.network.advance(seconds)
            self.assertIsNone(wanted.transaction)
            self.errands.withdraw(wanted)
            self.assertEqual(len(self.errands), 0)
        self.network.advance(5)
        self.assertEqual((server.requests, self.owner.heard), ([], []))

    def test_between_two_servers(self) -> None:
        """An INVITE that is called off while it is on its way goes to no further server: the 503 of the first is the
        outcome."""
        one, two = self.two_servers()
        wanted = self.run_errand(uri="sips:bob@b.example")
        self.errands.withdraw(wanted)
        one.connections[0].send(reply(one.requests[0], 503).serialise())
        self.network.advance(1)
        self.assertEqual((self.owner.heard, two.requests), ([503], []))

    def test_given_up_by_its_machine(self) -> None:
        """A call that is given up while it rings, and whose CANCEL nobody answers, leaves nothing under way 64*T1 later
        (RFC 3261 section 9.1, row:H16, fault:C5)."""
        server = self.server(answer=lambda request: [reply(request, 180)] if request.method == "INVITE" else [])
        for ringing in (True, False):
            if not ringing:
                server.answer = lambda request: ()
            session = self.alice.create_session("sip:bob@b.example")
            session.establish("v=0\r\n").addErrback(lambda _: None)
            self.network.advance(1)
            sessions = self.manager.sessions
            self.assertEqual((len(sessions.errands), len(sessions)), (1, 1))
            session.terminate()
            self.network.advance(40)
            self.assertEqual((len(sessions.errands), len(sessions)), (0, 0), ringing)

    def test_afterwards(self) -> None:
        """To call off what has its outcome changes nothing."""
        self.server(answer=accepting)
        self.errands.withdraw(self.run_errand())
        self.assertEqual(self.owner.heard, [180, 200])


class DialogTests(ErrandTestCase):
    """Requests in a dialog."""

    def test_own_flow(self) -> None:
        """A request takes the flow of its dialog, wherever the Contact leads, and dials nobody (row:E7, fault:D8)."""
        dialog = self.dialog("<sip:bob@evil.example:5060;transport=udp>")
        evil = self.server("evil.example", "evil.example")
        (server, _) = self.servers
        self.ask(dialog)
        self.assertEqual((self.owner.heard, server.methods), ([200], ["INVITE", "INFO"]))
        self.assertEqual((evil.connections, len(server.connections)), ([], 1))

    def test_same_identity(self) -> None:
        """When the flow is gone, the host of the Contact is dialled and has to be the party that the dialog was made
        with; nothing is written to anybody else, and nothing in clear (fault:D8, fault:F12)."""
        dialog = self.dialog("<sip:bob@elsewhere.example:5060;transport=udp>")
        evil = self.server("elsewhere.example", "elsewhere.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.ask(dialog, seconds=5)
        self.assertEqual(self.owner.heard, [TlsFailure])
        self.assertEqual((evil.requests, [line for line in self.network.log if " UDP " in line]), ([], []))

    def test_half_of_an_identity(self) -> None:
        """Whoever proves some names of a gateway, and not all of them, is not that gateway: neither a request nor an
        ACK is written (fault:D8, fault:F12)."""
        dialog = self.dialog("<sip:bob@elsewhere.example;transport=tls>", "a1.example b.example")
        dialog.remote = "<sip:+15550100@numbers.example>"
        half = self.server("elsewhere.example", "a1.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.ask(dialog, seconds=5)
        self.errands.acknowledge(AckWanted(self.owner, dialog.ack_plan(1)), self.alice)  # type: ignore[arg-type]
        self.network.advance(5)
        self.assertEqual((self.owner.heard, self.owner.octets, half.requests), ([TlsFailure], [], []))

    def test_moved(self) -> None:
        """A peer that has moved, and proves that it is the same, is served where it is now (row:H32)."""
        dialog = self.dialog("<sip:bob@elsewhere.example;transport=tls>")
        moved = self.server("elsewhere.example", "b.example", answer=accepting)
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.ask(dialog)
        self.assertEqual((self.owner.heard, moved.methods), ([200], ["INFO"]))
        self.assertIs(dialog.flow, self.owner.flows[-1])

    def test_peer_came_back(self) -> None:
        """A peer that cannot be dialled is reached by the connection that it has opened itself (row:H32)."""
        dialog = self.dialog("<sip:bob@unreachable.example;transport=tls>")
        self.servers[0].stop()
        self.servers.clear()
        self.network.advance(1)
        bob = self.network.party("sip:bob@b.example", listen=())
        self.network.run_until(bob.request("OPTIONS", "sip:alice@a.example"))
        self.ask(dialog)
        # This Bob takes no INFO; but he is the one who was asked.
        self.assertEqual(self.owner.heard, [405])
        self.assertTrue(self.owner.flows[-1].is_incoming)  # type: ignore[attr-defined]
        dialog.flow = None
        self.errands.acknowledge(AckWanted(self.owner, dialog.ack_plan(1)), self.alice)  # type: ignore[arg-type]
        self.network.advance(5)
        self.assertEqual(len(self.owner.octets), 1)
        self.assertTrue(self.owner.flows[-1].is_incoming)  # type: ignore[attr-defined]

    def test_written_to_a_closed_connection(self) -> None:
        """A request that nobody can have read goes again on a new connection, and only then (row:E13)."""
        dialog = self.dialog()
        server = self.servers[0]
        server.answer = accepting
        server.connections[0].hang_up()
        self.ask(dialog)
        self.assertEqual((self.owner.heard, server.methods), ([200], ["INVITE", "INFO"]))
        server.answer = lambda request: ()
        self.ask(dialog)
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.assertEqual(self.owner.heard, [200, ConnectionFailure])
        self.assertEqual(server.methods, ["INVITE", "INFO", "INFO"])

    def test_bye_twice(self) -> None:
        """BYE goes again when its connection breaks: the second one is answered 481 at worst (RFC 3261 section
        15.1.2)."""
        dialog = self.dialog()
        server = self.servers[0]
        server.answer = lambda request: ()
        self.ask(dialog, "BYE")
        server.answer = accepting
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.assertEqual((self.owner.heard, server.methods), ([200], ["INVITE", "BYE", "BYE"]))

    def test_silence(self) -> None:
        """A peer that does not answer in its dialog is not looked for elsewhere (RFC 3261 section 12.2.1.2)."""
        dialog = self.dialog()
        server = self.servers[0]
        server.answer = lambda request: ()
        self.ask(dialog, seconds=33)
        self.assertEqual(self.owner.heard, [OperationTimeout])
        self.assertEqual((server.methods, len(server.connections)), (["INVITE", "INFO"], 1))

    def test_no_contact_where_it_has_no_place(self) -> None:
        """A request that refreshes the target says where we are; BYE and INFO do not (RFC 3311 section 5.1)."""
        dialog = self.dialog()
        server = self.servers[0]
        server.answer = accepting
        for method in ("UPDATE", "INFO", "BYE"):
            self.ask(dialog, method)
        self.assertEqual(["Contact" in request.headers for request in server.requests[1:]], [True, False, False])

    def test_nowhere(self) -> None:
        """A target that is no place is a failure that the owner hears of."""
        dialog = self.dialog()
        dialog.remote_target = parse_uri("tel:+15550100")
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.ask(dialog)
        self.assertEqual(self.owner.heard, [ConnectionFailure])

    def test_lease(self) -> None:
        """The connection of a dialog is not closed for idleness, and is once the dialog has ended (row:E7, row:E5)."""
        dialog = self.dialog()
        flow: Any = dialog.flow
        self.assertEqual(flow.leases, 1)
        self.network.advance(600)
        self.assertTrue(flow.is_open)
        self.end(dialog)
        self.assertEqual(flow.leases, 0)
        self.network.advance(600)
        self.assertFalse(flow.is_open)


class AckTests(ErrandTestCase):
    """The ACK of a 2xx."""

    def acknowledge(self, dialog: Dialog, seconds: float = 1.0) -> None:
        """Send it, and let time pass."""
        self.errands.acknowledge(AckWanted(self.owner, dialog.ack_plan(1)), self.alice)  # type: ignore[arg-type]
        self.network.advance(seconds)

    def test_own_flow(self) -> None:
        """It takes the flow of its dialog, and the usage gets its octets and the flow (RFC 3261 section 13.2.2.4)."""
        dialog = self.dialog()
        self.acknowledge(dialog)
        self.assertEqual(self.servers[0].methods, ["INVITE", "ACK"])
        self.assertEqual(len(self.owner.octets), 1)
        self.assertTrue(self.owner.octets[0].startswith(b"ACK sip:bob@b.example;transport=tls SIP/2.0\r\nVia: "))
        self.assertIs(self.owner.flows[-1], dialog.flow)

    def test_after_the_end(self) -> None:
        """An ACK that leaves after the end of its dialog holds no connection (row:E7)."""
        dialog = self.dialog()
        self.end(dialog)
        self.acknowledge(dialog)
        self.assertEqual((len(self.owner.octets), len(self.errands.flows)), (1, 0))

    def test_new_flow(self) -> None:
        """Where the flow is gone, a new one is made to the same party, and held (row:E7)."""
        dialog = self.dialog()
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.acknowledge(dialog)
        self.assertEqual(self.servers[0].methods, ["INVITE", "ACK"])
        self.assertEqual((dialog.flow.leases, len(self.servers[0].connections)), (1, 2))  # type: ignore[union-attr]

    def test_nobody_there(self) -> None:
        """Where there is none nothing is told, and nothing is left: the 2xx will come again."""
        dialog = self.dialog("<sip:bob@unreachable.example;transport=tls>")
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.acknowledge(dialog, 10)
        dialog.remote_target = dialog.remote_target.replace(params={"maddr": "a b"})  # type: ignore[union-attr]
        self.acknowledge(dialog)
        self.assertEqual((self.owner.octets, len(self.errands)), ([], 0))

    def test_party_goes_away(self) -> None:
        """When the party is terminated, it is given up."""
        dialog = self.dialog()
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.acknowledge(dialog, 0)
        self.assertEqual(len(self.errands), 1)
        self.errands.end(self.alice)
        self.network.advance(1)
        self.assertEqual((len(self.errands), self.owner.octets), (0, []))
