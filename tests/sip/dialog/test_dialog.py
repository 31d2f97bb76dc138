"""Tests of the state of a dialog (RFC 3261 section 12), of its security (RFC 5630) and of whose it is."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.dialog import Dialog, dialog_id
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.uri import SipUri, parse_uri
from tests.sip.dialog.dialogs import ALICE, BOB, ProvingFlow, callee_dialog, caller_dialog, in_dialog, invite, ok, tls
from tests.support import SynchronousTestCase, call_flows, vectors


def addressed(plan: RequestPlan) -> tuple[str, list[str], str | None]:
    """Request-URI, Route and next hop of a plan."""
    return plan.uri, plan.routes, None if plan.next_hop is None else str(plan.next_hop)


class CreationTests(SynchronousTestCase):
    """Sections 12.1.1 and 12.1.2: every component of the state."""

    def test_of_caller(self) -> None:
        """The caller's dialog has its parts from the request and from the response (section 12.1.2)."""
        request = invite()
        response = ok(request, record_route=("<sip:p2.example;lr>, <sip:p1.example;lr>",))
        dialog = Dialog.of_caller(request, response, tls("b.example"))
        self.assertEqual(
            (dialog.call_id, dialog.local_tag, dialog.remote_tag, dialog.id),
            ("call", "at", "bt", dialog_id("call", "at", "bt")),
        )
        self.assertEqual((dialog.local, dialog.remote), (f'"Alice" <{ALICE}>', f"<{BOB}>"))
        self.assertEqual((str(dialog.local_uri), str(dialog.remote_uri)), (ALICE, BOB))
        self.assertEqual((dialog.local_cseq, dialog.remote_cseq), (7, None))
        self.assertEqual(dialog.route_set, ("<sip:p1.example;lr>", "<sip:p2.example;lr>"))
        self.assertEqual(str(dialog.remote_target), "sip:bob@192.0.2.2")
        self.assertEqual(
            (dialog.is_caller, dialog.is_early, dialog.is_secure, dialog.is_tls), (True, False, False, True)
        )
        self.assertEqual((dialog.peer, dialog.is_verified), ("b.example", True))

    def test_of_callee(self) -> None:
        """The callee's dialog has its parts from the request, and is early until it is confirmed (section 12.1.1)."""
        request = invite(record_route=("<sip:p2.example;lr>", "<sip:p1.example;lr>"))
        dialog = Dialog.of_callee(request, "bt", tls("a.example"))
        self.assertEqual((dialog.call_id, dialog.local_tag, dialog.remote_tag), ("call", "bt", "at"))
        self.assertEqual((dialog.local, dialog.remote), (f"<{BOB}>", f'"Alice" <{ALICE}>'))
        self.assertEqual((dialog.local_cseq, dialog.remote_cseq), (0, 7))
        self.assertEqual(dialog.route_set, ("<sip:p2.example;lr>", "<sip:p1.example;lr>"))
        self.assertEqual(str(dialog.remote_target), "sip:alice@192.0.2.1")
        self.assertEqual((dialog.is_caller, dialog.is_early, dialog.peer), (False, True, "a.example"))
        dialog.confirm()
        self.assertFalse(dialog.is_early)

    def test_secure_flag(self) -> None:
        """The secure flag wants both: TLS and a sips Request-URI (sections 12.1.1 and 12.1.2)."""
        for transport, scheme in itertools.product(("UDP", "TCP", "TLS", "WS", "WSS"), ("sip", "sips")):
            flow = ProvingFlow(transport, (), "")
            uri = f"{scheme}:bob@b.example"
            expected = (transport in ("TLS", "WSS") and scheme == "sips", transport in ("TLS", "WSS"))
            caller = caller_dialog(flow, uri)
            callee = callee_dialog(flow, uri, contact="<sips:alice@192.0.2.1>")
            for dialog in (caller, callee):
                self.assertEqual((dialog.is_secure, dialog.is_tls), expected, (transport, scheme))

    def test_peers_of_rfc_2543(self) -> None:
        """A peer without a tag has an empty one, and our requests write none for it (sections 12.1.1 and 12.2.1.1)."""
        request = invite(from_=f"<{ALICE}>")
        callee = Dialog.of_callee(request, "bt", tls("a.example"))
        self.assertEqual((callee.remote_tag, callee.plan("BYE").to), ("", f"<{ALICE}>"))
        request = invite()
        caller = Dialog.of_caller(request, ok(request, tag=""), tls("b.example"))
        self.assertEqual((caller.remote_tag, caller.plan("BYE").to), ("", f"<{BOB}>"))

    def test_other_parameters_of_from_and_to(self) -> None:
        """Parameters beside the tag stay, whichever side of it they stood on."""
        request = invite(from_=f'<{ALICE}>;a=b;tag=at;c="d e"', to=f"{BOB};x")
        dialog = Dialog.of_callee(request, "bt", tls("a.example"))
        self.assertEqual((dialog.remote, dialog.local), (f'<{ALICE}>;a=b;c="d e"', f"<{BOB}>;x"))

    def test_a_response_that_names_no_contact(self) -> None:
        """Without a Contact that can be read our requests go where the INVITE went; a 2xx has to be acknowledged."""
        for contact in (None, "*", "<sip:a@b@c>", "<<>", "<tel:+1>"):
            for status in (180, 200):
                request = invite()
                dialog = Dialog.of_caller(request, ok(request, status, contact=contact), tls("b.example"))
                self.assertEqual((str(dialog.remote_target), dialog.is_early), (BOB, status == 180))
                self.assertEqual(dialog.ack_plan(7).uri, BOB)

    def test_several_contacts(self) -> None:
        """Of several Contacts in a response the first counts; a request with several is refused (section 8.1.1.8)."""
        request = invite()
        two = "<sip:one@192.0.2.2>, <sip:two@192.0.2.2>"
        dialog = Dialog.of_caller(request, ok(request, contact=two), tls("b.example"))
        self.assertEqual(str(dialog.remote_target), "sip:one@192.0.2.2")
        self.assertRaises(MalformedMessage, callee_dialog, contact=two)

    def test_a_request_that_names_no_contact(self) -> None:
        """An INVITE whose Contact is missing or none makes no dialog: 400 (section 12.1.1)."""
        for contact in (None, "*", "<sip:a@b@c>", "<<>", "<tel:+1>", "<http://a.example/>"):
            error = self.assertRaises(MalformedMessage, callee_dialog, contact=contact)
            self.assertEqual(error.status, 400)

    def test_routes_that_are_none(self) -> None:
        """An INVITE with a Record-Route that is no URI is 400; in a response it counts as missing (fault:A13)."""
        bad = ("<sip:p1.example;lr>, <sip:a@b@c;lr>",)
        self.assertEqual(self.assertRaises(MalformedMessage, callee_dialog, record_route=bad).status, 400)
        self.assertEqual(caller_dialog(record_route=bad).route_set, ("<sip:p1.example;lr>",))

    def test_a_tag_that_is_none(self) -> None:
        """A response whose To cannot be read makes no dialog."""
        request = invite()
        response = ok(request)
        response.headers.set("To", "<sip:bob@b.example")
        fresh = Response(200, None, list(response.headers))
        self.assertRaises(MalformedMessage, Dialog.of_caller, request, fresh, tls("b.example"))


class ConfirmationTests(SynchronousTestCase):
    """Section 13.2.2.4: from early to confirmed."""

    def test_the_2xx_counts(self) -> None:
        """Route set and target are those of the 2xx, whatever the 180 said; sequence numbers stay."""
        request = invite()
        ringing = ok(request, 180, record_route=("<sip:old.example;lr>",), contact="<sip:old@192.0.2.3>")
        dialog = Dialog.of_caller(request, ringing, tls("b.example"))
        dialog.plan("PRACK")
        dialog.remote_cseq = 4
        dialog.confirm(ok(request, record_route=("<sip:new.example;lr>",)), tls("b.example"))
        self.assertEqual(dialog.route_set, ("<sip:new.example;lr>",))
        self.assertEqual(
            (str(dialog.remote_target), dialog.local_cseq, dialog.remote_cseq), ("sip:bob@192.0.2.2", 8, 4)
        )
        self.assertFalse(dialog.is_early)

    def test_a_2xx_without_contact(self) -> None:
        """A 2xx without a Contact leaves the target that the 180 gave."""
        request = invite()
        dialog = Dialog.of_caller(request, ok(request, 180, contact="<sip:old@192.0.2.3>"), tls("b.example"))
        dialog.confirm(ok(request, contact=None))
        self.assertEqual(str(dialog.remote_target), "sip:old@192.0.2.3")

    def test_whose_it_becomes(self) -> None:
        """An early dialog of nobody's becomes that of the verified party that sends the 2xx; one of a verified party
        stays its own."""
        request = invite()
        early = Dialog.of_caller(request, ok(request, 180), ProvingFlow("TCP", ()))
        early.confirm(ok(request), tls("b.example"))
        self.assertEqual((early.peer, early.is_tls), ("b.example", True))
        owned = Dialog.of_caller(request, ok(request, 180), tls("b.example"))
        owned.confirm(ok(request), tls("c.example"))
        self.assertEqual(owned.peer, "b.example")


class RequestTests(SynchronousTestCase):
    """Section 12.2.1.1: what our requests in the dialog are made of."""

    def test_route_vectors(self) -> None:
        """Loose, strict and empty route sets give the request line, the Route and the next hop of the vectors."""
        for case in vectors("route")["ua_request"]:
            request = invite()
            response = ok(request, record_route=tuple(case["route_set"][::-1]), contact=f"<{case['remote_target']}>")
            dialog = Dialog.of_caller(request, response, ProvingFlow("TCP", ()))
            expected = (case["request_uri"], case["route"], case["next_hop"])
            self.assertEqual(addressed(dialog.plan("BYE")), expected, case["id"])
            self.assertEqual(addressed(dialog.ack_plan(7)), expected, case["id"])

    def test_route_set_vectors(self) -> None:
        """The caller turns Record-Route round and the callee keeps it; no later message changes it (section 12.2)."""
        cases = vectors("route")["route_set_construction"]
        for case in cases:
            if "role" not in case:
                continue
            if case["role"] == "UAC":
                dialog = caller_dialog(ProvingFlow("TCP", ()), record_route=tuple(case["record_route_in_2xx"]))
            else:
                dialog = callee_dialog(ProvingFlow("TCP", ()), record_route=tuple(case["record_route_in_request"]))
            self.assertEqual(list(dialog.route_set), case["route_set"])
            later = in_dialog(dialog, "INVITE", contact="<sip:new@192.0.2.4>", record_route="<sip:p9.example;lr>")
            dialog.refresh_target(later, ProvingFlow("TCP", ()))
            dialog.refresh_target(ok(later, contact="<sip:newer@192.0.2.4>", record_route=("<sip:p8>",)), tls())
            self.assertEqual(list(dialog.route_set), case["route_set"])
            self.assertEqual(str(dialog.remote_target), "sip:newer@192.0.2.4")
        self.assertIn("never changes the route set", cases[-1]["rule"])

    def test_proxy_vectors(self) -> None:
        """The callees of section 16.12.1 send their BYE through the proxies, a strict one among them."""
        checked = 0
        for case in vectors("route")["proxy"]:
            recorded: list[str] = []
            contact = "sip:caller@u1.example.com"
            for way, line, fields in case.get("steps", ()):
                recorded = fields.get("record_route", fields.get("u2_sees_record_route", recorded))
                if way.startswith("U2->") and line.startswith("BYE"):
                    dialog = callee_dialog(ProvingFlow("TCP", (), ""), record_route=recorded, contact=f"<{contact}>")
                    plan = dialog.plan("BYE")
                    self.assertEqual([f"BYE {plan.uri}", plan.routes], [line, fields["route"]], case["id"])
                    checked += 1
        self.assertEqual(checked, 2)

    def test_every_field(self) -> None:
        """A request has the tags, the Call-ID and the addresses of its dialog, and the next number (row:G6)."""
        dialog = caller_dialog()
        for number in (8, 9):
            plan = dialog.plan("INFO")
            request = plan.build()
            self.assertEqual(request.headers["From"], f'"Alice" <{ALICE}>;tag=at')
            self.assertEqual(request.headers["To"], f"<{BOB}>;tag=bt")
            self.assertEqual((request.call_id, str(request.cseq)), ("call", f"{number} INFO"))
            self.assertIs(plan.dialog, dialog)
        self.assertEqual(str(dialog.ack_plan(7).build().cseq), "7 ACK")
        self.assertEqual(dialog.local_cseq, 9)

    def test_the_callee_begins_to_count(self) -> None:
        """Where the local number is empty, the first request chooses it (section 12.2.1.1)."""
        self.assertEqual([callee_dialog().plan("BYE").cseq], [1])

    def test_numbers_run_out(self) -> None:
        """A dialog whose number is the largest that there is sends no more requests, but acknowledges (section
        8.1.1.5)."""
        dialog = caller_dialog()
        dialog.local_cseq = 2**31 - 2
        self.assertEqual(dialog.plan("BYE").cseq, 2**31 - 1)
        self.assertRaises(InvalidOperation, dialog.plan, "BYE")
        self.assertEqual(dialog.ack_plan(2**31 - 1).cseq, 2**31 - 1)

    def test_a_target_that_is_no_sip_uri(self) -> None:
        """Whoever was called by a telephone number and names no Contact has no next hop: only a route, or the flow that
        there is."""
        number = "tel:+12015550123"
        for recorded, expected in (
            ((), (number, [], None)),
            (("<sips:p.example;lr>",), (number, ["<sips:p.example;lr>"], "sips:p.example;lr")),
        ):
            dialog = caller_dialog(uri=number, contact="<tel:+12015550199>", record_route=recorded)
            self.assertEqual(addressed(dialog.plan("BYE")), expected)


class SequenceTests(SynchronousTestCase):
    """Section 12.2.2: requests in order."""

    def test_table(self) -> None:
        """Lower numbers and the same one are 500, whatever the method; any gap is allowed (fault:D2, row:G6)."""
        for last, number, method, status in (
            (7, 8, "INFO", 0),
            (7, 7, "INFO", 500),
            (7, 7, "INVITE", 500),
            (7, 7, "BYE", 500),
            (7, 6, "INFO", 500),
            (7, 6, "BYE", 500),
            (7, 0, "INFO", 500),
            (7, 9, "BYE", 0),
            (7, 7 + 2**30, "INFO", 0),
            (7, 2**31 - 1, "INFO", 0),
            (0, 0, "INFO", 500),
            (0, 1, "INFO", 0),
            (2**31 - 1, 0, "INFO", 500),
            (2**31 - 1, 2**31 - 1, "BYE", 500),
            (2**31 - 1, 2**31 - 2, "BYE", 500),
            (None, 0, "INFO", 0),
            (None, 1, "BYE", 0),
            (None, 2**31 - 1, "BYE", 0),
        ):
            with self.subTest(last=last, number=number, method=method):
                dialog = callee_dialog()
                dialog.remote_cseq = last
                self.assertEqual(dialog.check(in_dialog(dialog, method, number), tls("a.example")), status)
                self.assertEqual(dialog.remote_cseq, last if status else number)

    @given(st.lists(st.integers(0, 2**31 - 1), max_size=30))
    def test_only_upwards(self, numbers: list[int]) -> None:
        """Whatever comes, what is let through has numbers that only rise (section 12.2.2)."""
        dialog = callee_dialog()
        taken = [number for number in numbers if not dialog.check(in_dialog(dialog, "INFO", number), tls("a.example"))]
        self.assertEqual(taken, sorted(set(taken)))
        self.assertTrue(all(number > 7 for number in taken))
        self.assertEqual(dialog.remote_cseq, max([7, *taken]))


class OwnerTests(SynchronousTestCase):
    """Whose dialog it is: a request in it has to come from that party."""

    def test_matrix(self) -> None:
        """A verified dialog takes requests of its party and of those who prove its names; an unverified one of anybody,
        but not in clear once it was made over TLS (fault:D1)."""
        alice = tls("a.example")
        nobody = ProvingFlow("TLS", (), "")
        clear = ProvingFlow("UDP", (), "")
        for made_over, came_by, allowed in (
            (alice, alice, True),
            (alice, tls("a.example"), True),
            (alice, tls("evil.example"), False),
            (alice, tls("sub.a.example"), False),
            (alice, tls("a.example", "evil.example"), True),
            (alice, nobody, False),
            (alice, clear, False),
            (alice, ProvingFlow("TCP", (), ""), False),
            (nobody, nobody, True),
            (nobody, ProvingFlow("WSS", (), ""), True),
            (nobody, alice, True),
            (nobody, clear, False),
            (clear, clear, True),
            (clear, ProvingFlow("TCP", (), ""), True),
            (clear, alice, True),
        ):
            dialog = callee_dialog(made_over)
            self.assertEqual(dialog.may_come_from(came_by), allowed, (made_over.peer, came_by.transport, came_by.peer))
            request = in_dialog(dialog, "BYE")
            self.assertEqual(dialog.check(request, came_by), 0 if allowed else 481)
            self.assertEqual(dialog.remote_cseq, 8 if allowed else 7)

    def test_names_of_the_dialog(self) -> None:
        """The hosts of the remote target, of the peer's address and of the first route stand for the peer, and no other
        host of the dialog does (fault:D1)."""
        dialog = callee_dialog(
            tls("proxy.example"),
            contact="<sip:alice@desk.a.example>",
            record_route=("<sip:edge.example;lr>", "<sip:inner.example;lr>"),
        )
        for host, allowed in (
            ("proxy.example", True),
            ("desk.a.example", True),
            ("a.example", True),
            ("edge.example", True),
            ("inner.example", False),
            ("b.example", False),
        ):
            self.assertEqual(dialog.may_come_from(tls(host)), allowed, host)

    def test_an_address_that_cannot_be_read(self) -> None:
        """A From whose URI is none stands for nobody: its dialog is that of the party that made it, and no other's
        (fault:A13, fault:D1)."""
        dialog = callee_dialog(tls("proxy.example"), from_="<sip:a@b.example@c.example>;tag=at")
        allowed = [dialog.may_come_from(tls(host)) for host in ("proxy.example", "b.example", "c.example")]
        self.assertEqual(allowed, [True, False, False])
        self.assertRaises(MalformedMessage, getattr, dialog, "remote_uri")

    def test_an_address_proves_itself_only(self) -> None:
        """Without TLS there is nothing that proves an address: the base flow proves no host at all."""
        self.assertFalse(super(ProvingFlow, tls("a.example")).proves("a.example"))

    def test_the_name_of_the_peer(self) -> None:
        """A request under the address that the dialog was made with is told from one under another (RFC 4916)."""
        dialog = callee_dialog()
        request = in_dialog(dialog)
        self.assertTrue(dialog.is_from_peer(request))
        request.headers.set("From", "<sip:other@a.example>;tag=at")
        self.assertFalse(dialog.is_from_peer(Request("INFO", ALICE, list(request.headers))))


class TargetRefreshTests(SynchronousTestCase):
    """Section 12.2: what a Contact may change, and RFC 5630."""

    def test_matrix(self) -> None:
        """For each kind of dialog and each kind of Contact: whether it is taken, as what, and where the next request
        goes first (fault:D8)."""
        kept = "sips:old@192.0.2.1"
        table = {
            # kind, Contact: (status, target, next hop)
            ("sips", "sips:x@192.0.2.5"): (0, "sips:x@192.0.2.5", "sips:x@192.0.2.5"),
            ("sips", "sips:x@192.0.2.5:5071;transport=tcp"): (
                0, "sips:x@192.0.2.5:5071;transport=tcp", "sips:x@192.0.2.5:5071;transport=tcp"),
            ("sips", "sips:x@192.0.2.5:5071;transport=udp"): (
                0, "sips:x@192.0.2.5:5071;transport=udp", "sips:x@192.0.2.5;transport=tls"),
            ("sips", "sips:x@192.0.2.5;transport=ws"): (
                0, "sips:x@192.0.2.5;transport=ws", "sips:x@192.0.2.5;transport=ws"),
            ("sips", "sip:x@192.0.2.5"): (400, kept, kept),
            ("sips", "sip:x@192.0.2.5;transport=tls"): (400, kept, kept),
            ("sips", "sip:evil@evil.example;transport=udp"): (400, kept, kept),
            ("sips", "tel:+12015550123"): (400, kept, kept),
            ("sips", "*"): (400, kept, kept),
            ("sips", "sip:a@b@c"): (400, kept, kept),
            ("tls", "sips:x@192.0.2.5"): (0, "sips:x@192.0.2.5", "sips:x@192.0.2.5"),
            ("tls", "sip:x@192.0.2.5"): (0, "sip:x@192.0.2.5", "sip:x@192.0.2.5;transport=tls"),
            ("tls", "sip:x@192.0.2.5:5060"): (0, "sip:x@192.0.2.5:5060", "sip:x@192.0.2.5;transport=tls"),
            ("tls", "sip:x@192.0.2.5:5071"): (0, "sip:x@192.0.2.5:5071", "sip:x@192.0.2.5:5071;transport=tls"),
            ("tls", "sip:x@192.0.2.5:5071;transport=tls"): (
                0, "sip:x@192.0.2.5:5071;transport=tls", "sip:x@192.0.2.5:5071;transport=tls"),
            ("tls", "sip:x@192.0.2.5:5071;transport=TLS"): (
                0, "sip:x@192.0.2.5:5071;transport=TLS", "sip:x@192.0.2.5:5071;transport=TLS"),
            ("tls", "sip:evil@evil.example;transport=udp"): (
                0, "sip:evil@evil.example;transport=udp", "sip:evil@evil.example;transport=tls"),
            ("tls", "sip:x@192.0.2.5:5071;transport=tcp"): (
                0, "sip:x@192.0.2.5:5071;transport=tcp", "sip:x@192.0.2.5;transport=tls"),
            ("tls", "sip:x@z.invalid;transport=ws"): (
                0, "sip:x@z.invalid;transport=ws", "sips:x@z.invalid;transport=ws"),
            ("tls", "tel:+12015550123"): (400, "sip:old@192.0.2.1", "sip:old@192.0.2.1;transport=tls"),
            ("tls", "*"): (400, "sip:old@192.0.2.1", "sip:old@192.0.2.1;transport=tls"),
            ("clear", "sip:x@192.0.2.5;transport=udp"): (
                0, "sip:x@192.0.2.5;transport=udp", "sip:x@192.0.2.5;transport=udp"),
            ("clear", "sips:x@192.0.2.5"): (0, "sips:x@192.0.2.5", "sips:x@192.0.2.5"),
            ("clear", "sip:x@192.0.2.5"): (0, "sip:x@192.0.2.5", "sip:x@192.0.2.5"),
        }  # fmt: skip
        for (kind, contact), (status, target, hop) in table.items():
            with self.subTest(kind=kind, contact=contact):
                flow = tls("a.example") if kind != "clear" else ProvingFlow("UDP", (), "")
                scheme = "sips" if kind == "sips" else "sip"
                dialog = callee_dialog(flow, f"{scheme}:bob@b.example", contact=f"<{scheme}:old@192.0.2.1>")
                value = contact if contact == "*" else f"<{contact}>"
                found = 0
                try:
                    dialog.refresh_target(in_dialog(dialog, "UPDATE", contact=value), flow)
                except MalformedMessage as error:
                    found = error.status
                self.assertEqual((found, str(dialog.remote_target)), (status, target))
                plan = dialog.plan("BYE")
                self.assertEqual((plan.uri, None if plan.next_hop is None else str(plan.next_hop)), (target, hop))

    def test_responses_are_never_refused(self) -> None:
        """A 2xx cannot be refused: in a sips dialog its sip Contact is read as a sips one, and one that is none is
        passed over (fault:D8)."""
        for contact, target in (
            ("<sip:x@192.0.2.5>", "sips:x@192.0.2.5"),
            ("<sip:evil@evil.example;transport=udp>", "sips:evil@evil.example;transport=udp"),
            ("<sips:x@192.0.2.5>", "sips:x@192.0.2.5"),
            ("*", "sips:bob@192.0.2.2"),
            ("<sip:a@b@c>", "sips:bob@192.0.2.2"),
            (None, "sips:bob@192.0.2.2"),
        ):
            dialog = caller_dialog(tls("b.example"), "sips:bob@b.example", contact="<sips:bob@192.0.2.2>")
            dialog.refresh_target(ok(in_dialog(dialog, "UPDATE"), contact=contact), tls("b.example"))
            self.assertEqual(str(dialog.remote_target), target)
            hop = dialog.plan("BYE").next_hop
            assert hop is not None
            self.assertTrue(hop.is_secure or hop.transport == "tls")

    def test_the_2xx_that_makes_the_dialog(self) -> None:
        """Contact and Record-Route of the 200 to an INVITE over TLS lead nowhere in clear (fault:D8)."""
        for uri in (BOB, "sips:bob@b.example"):
            for contact, recorded in itertools.product(
                ("sip:evil@evil.example;transport=udp", "sip:evil@evil.example", "sip:evil@192.0.2.66:5060"),
                ((), ("<sip:evil.example;transport=udp;lr>",), ("<sip:evil.example;lr>",), ("<sip:evil.example>",)),
            ):
                dialog = caller_dialog(tls("b.example"), uri, contact=f"<{contact}>", record_route=recorded)
                for plan in (dialog.ack_plan(7), dialog.plan("BYE")):
                    hop = plan.next_hop
                    assert hop is not None
                    self.assertTrue(hop.is_secure or hop.transport == "tls", (uri, contact, recorded, str(hop)))
                    if uri.startswith("sips"):
                        self.assertTrue(all(route.startswith("<sips:") for route in plan.routes))
                        self.assertTrue(plan.uri.startswith("sips:"))

    def test_a_sips_request_names_a_sips_contact(self) -> None:
        """An INVITE to a sips URI whose Contact is a sip one contradicts itself: 400 (RFC 5630 sections 5.1.1 and
        5.1.2, fault:D8)."""
        for recorded in ((), ("<sip:p.example;lr>",)):
            for contact, fits in (("<sips:alice@192.0.2.1>", True), ("<sip:alice@192.0.2.1>", False)):
                if fits:
                    dialog = callee_dialog(None, "sips:bob@b.example", contact=contact, record_route=recorded)
                    self.assertTrue(dialog.is_secure)
                    self.assertEqual(dialog.route_set, ("<sips:p.example;lr>",) if recorded else ())
                else:
                    error = self.assertRaises(
                        MalformedMessage, callee_dialog, None, "sips:bob@b.example", contact=contact,
                        record_route=recorded,
                    )  # fmt: skip
                    self.assertEqual(error.status, 400)


class UsageTests(SynchronousTestCase):
    """RFC 5057: several usages of one dialog."""

    def test_it_lives_while_one_lives(self) -> None:
        """A dialog that INVITE and a subscription use is over when both are, in whichever order (row:H36)."""
        for order in itertools.permutations(("invite", "subscribe;refer", "subscribe;presence")):
            dialog = callee_dialog()
            for usage in order:
                dialog.join(usage)
                dialog.join(usage)
            self.assertEqual(sorted(dialog.usages), sorted(order))
            self.assertEqual([dialog.leave(usage) for usage in order], [False, False, True])
            self.assertTrue(dialog.leave("invite"))

    def test_repr(self) -> None:
        """What stands in a log names the call and the other party."""
        dialog = callee_dialog()
        self.assertIn("early dialog call with", repr(dialog))
        dialog.confirm()
        self.assertNotIn("early", repr(dialog))


LINES = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=40)
ADDRESSES = st.one_of(
    LINES,
    st.sampled_from(
        (
            "<sip:a@b.example>", "<sips:a@b.example;lr>", "sip:a@b;lr", "<tel:+1>", "<sip:a@b@c>", "*", "<>", ",",
            "x:y", "<sip:[::1]:0;lr>,", '"<" <sip:x;maddr=y;transport=sctp>;q=0', "<sip:a;method=BYE?To=x>",
            "<sip:%00@h;lr;ttl=5>",
        )
    ),
).map(lambda text: text.strip())  # fmt: skip


class HostileTests(SynchronousTestCase):
    """What a peer writes into the fields that a dialog is made of."""

    @given(ADDRESSES, st.lists(ADDRESSES, max_size=3), ADDRESSES, st.booleans(), st.booleans())
    def test_any_fields(self, contact: str, routes: list[str], from_: str, is_secure: bool, is_tls: bool) -> None:
        """Whatever stands there, there is a dialog whose requests can be written, or a 4xx for it (fault:A1,
        fault:D8)."""
        flow = tls("a.example") if is_tls else ProvingFlow("UDP", (), "")
        uri = "sips:bob@b.example" if is_secure else BOB
        request = invite(uri, contact=contact, record_route=tuple(routes), from_=from_)
        made = []
        try:
            made.append(Dialog.of_callee(request, "bt", flow))
        except MalformedMessage as error:
            self.assertTrue(400 <= error.status < 500)
        ours = invite(uri)
        made.append(Dialog.of_caller(ours, ok(ours, contact=contact, record_route=tuple(routes)), flow))
        for dialog in made:
            dialog.refresh_target(ok(ours, contact=contact), flow)
            for plan in (dialog.plan("BYE"), dialog.ack_plan(7)):
                request = plan.build()
                request.headers.insert(0, "Via", "SIP/2.0/TLS us.example;branch=z9hG4bKx")
                again = parse_message(request.serialise())
                assert isinstance(again, Request)
                self.assertEqual((again.call_id, again.from_.tag), (dialog.call_id, dialog.local_tag))
                hop = plan.next_hop
                if is_tls and hop is not None:
                    self.assertTrue(hop.is_secure or hop.transport in ("tls", "wss"), str(hop))
            dialog.may_come_from(tls("evil.example"))


class CallFlowTests(SynchronousTestCase):
    """The flows of RFC 3665 and RFC 3327, through the dialogs of both ends."""

    def test_rfc_3665(self) -> None:
        """Whoever sends a request in a dialog of RFC 3665 section 3 sends what its dialog plans, and whoever gets it
        finds it in order."""
        compared = 0
        for flow in sorted({name.rpartition("/")[0] for name, _ in call_flows() if name.startswith("rfc3665/3.")}):
            messages = [head_of(data) for name, data in call_flows() if name.startswith(flow + "/")]
            compared += self.play(flow, messages)
        # An ACK and a BYE in five flows; an ACK alone in one; two ACKs, a re-INVITE and a BYE in another.
        self.assertEqual(compared, 15)

    def play(self, flow: str, messages: list[Request | Response]) -> int:
        """Play one flow; return how many requests were compared."""
        wire = ProvingFlow("TCP", (), "")
        accepted = [
            message
            for message in messages
            if isinstance(message, Response) and message.status == 200 and message.cseq.method == "INVITE"
        ]
        if not accepted:
            return 0
        answer = next(message for message in accepted if len(message.vias()) == 1)
        invites = [
            message
            for message in messages
            if isinstance(message, Request) and message.method == "INVITE" and message.cseq == answer.cseq
        ]
        sent = next(message for message in invites if len(message.vias()) == 1)
        arrived = max(invites, key=lambda message: len(message.vias()))
        alice = Dialog.of_caller(sent, answer, wire)
        bob = Dialog.of_callee(arrived, answer.to.tag or "", wire)
        bob.confirm()
        compared = 0
        for message in messages[messages.index(answer) + 1 :]:
            if len(message.vias()) != 1 or message.to.tag is None:
                continue
            ends = (alice, bob) if message.from_.tag == alice.local_tag else (bob, alice)
            if isinstance(message, Request):
                compared += 1
                self.compare(flow, message, *ends)
            elif message.cseq.method == "INVITE":
                ends[0].refresh_target(message, wire)
        return compared

    def compare(self, flow: str, message: Request, sender: Dialog, receiver: Dialog) -> None:
        """Hold what the flow shows against what *sender* plans, and let *receiver* have it."""
        wire = ProvingFlow("TCP", (), "")
        number = message.cseq.number
        if message.method == "ACK":
            plan = sender.ack_plan(number)
        else:
            if sender.local_cseq == 0:
                # The first number of a callee is its own choice.
                sender.local_cseq = number - 1
            plan = sender.plan(message.method)
            self.assertEqual(receiver.check(message, wire), 0, flow)
        built = plan.build()
        self.assertEqual((built.method, built.cseq), (message.method, message.cseq), flow)
        # The RFC's examples leave out the transport that their Contacts name.
        assert isinstance(built.uri, SipUri)
        self.assertEqual(built.uri.without("transport"), message.uri, flow)
        self.assertEqual((built.from_, built.to, built.call_id), (message.from_, message.to, message.call_id), flow)
        routes = [route for value in message.headers.get_all("Route") for route in value.replace(" ", "").split(",")]
        self.assertEqual(plan.routes, routes, flow)
        if message.method == "INVITE":
            receiver.refresh_target(message, wire)

    def test_rfc_3327(self) -> None:
        """Behind the proxies that Path named, the callee's requests go back through those that recorded themselves."""
        name = "rfc3327/5.5.2_example-of-mechanism-in-invite-transaction/F04.sip"
        arrived = head_of(dict(call_flows())[name])
        assert isinstance(arrived, Request)
        dialog = Dialog.of_callee(arrived, "ours", ProvingFlow("UDP", (), ""))
        routes = ["<sip:P1.EXAMPLEVISITED.COM;lr>", "<sip:P3.EXAMPLEHOME.COM;lr>"]
        self.assertEqual(
            addressed(dialog.plan("BYE")), ("sip:UA2@71.91.180.10", routes, "sip:P1.EXAMPLEVISITED.COM;lr")
        )
        self.assertEqual(parse_uri("sip:p1.examplevisited.com;lr"), dialog.plan("BYE").next_hop)


def head_of(data: bytes) -> Request | Response:
    """A printed message without its body, whose printed length is not always right."""
    head = data.replace(b"\r\n\r\n", b"\r\n\0", 1).split(b"\0")[0]
    lines = [line for line in head.split(b"\r\n") if line and not line.lower().startswith(b"content-")]
    return parse_message(b"\r\n".join([*lines, b"", b""]))
