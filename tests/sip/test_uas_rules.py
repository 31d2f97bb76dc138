"""Requests in a dialog, as a UAS looks at them before an application does (RFC 3261 sections 8.2 and 12.2.2)."""

from __future__ import annotations

import itertools

from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import InDialogRequestReceived
from sip_p2p.sip.dialog.usage import InviteUsage
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request
from sip_p2p.sip.outputs import AckReceived, RequestAbandoned, RequestReceived
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.uri import SipUri
from tests.sip.harness import HERE, CoreBench, message, statuses_of
from tests.support import SynchronousTestCase

CONTACT = "\r\nContact: <sip:peer@peer.example:5061;transport=tls>"


class DialogBench(CoreBench):
    """A core with one dialog, which a verified peer's INVITE made."""

    def __init__(self) -> None:
        super().__init__()
        for method in ("BYE", "INFO", "UPDATE", "ACK"):
            self.profile.allow(method)
        self.dialog = self.dialog_of("call-1")

    def dialog_of(self, call_id: str) -> Dialog:
        """One more dialog, early as yet."""
        invite = parse_message(message("INVITE", replace={"Call-ID": call_id}, extra=CONTACT))
        assert isinstance(invite, Request)
        dialog = Dialog.of_callee(invite, "ours", self.stream)
        self.core.dialogs.add(dialog)
        return dialog


def inside(method: str, cseq: int, *, branch: str = "", call_id: str = "call-1", extra: str = "", **more: str) -> bytes:
    """A request in the dialog of the bench."""
    fields = {"To": "<sip:user@example.com>;tag=ours", "CSeq": f"{cseq} {method}", "Call-ID": call_id, **more}
    return message(method, branch=branch or f"z9hG4bK{method}{cseq}", replace=fields, extra=extra)


def party_with_sessions() -> DialogBench:
    """A bench whose party takes INVITEs and MESSAGEs from anybody, and what belongs to sessions within them."""
    bench = DialogBench()
    for method in ("BYE", "INFO", "UPDATE", "ACK"):
        bench.profile.disallow(method)
    bench.profile.allow_in_dialogs(("ACK", "BYE", "CANCEL", "INFO", "PRACK", "UPDATE"))
    return bench


class InDialogTests(SynchronousTestCase):
    """Section 12.2.2."""

    def test_to_the_dialog(self) -> None:
        """A request with the Call-ID and both tags of a dialog comes with that dialog (row:G6)."""
        bench = DialogBench()
        (output,) = bench.over_stream(inside("INFO", 2))
        assert isinstance(output, InDialogRequestReceived)
        self.assertEqual((output.dialog, output.request.method, output.flow), (bench.dialog, "INFO", bench.stream))

    def test_of_somebody_else_by_the_same_proxy(self) -> None:
        """Where a proxy's word for From is taken, another From is another party, and its request is of no dialog; the
        same address may be spelled in more than one way (row:G6, fault:D1)."""
        for from_, is_heard in (
            ("<sip:peer@peer.example>;tag=ft", True),
            ('"Peer" <sip:peer@PEER.example>;tag=ft', True),
            ("<sip:mallory@peer.example>;tag=ft", False),
            ("<tel:+15550100>;tag=ft", False),
        ):
            for method in ("BYE", "INFO", "UPDATE", "INVITE"):
                bench = party_with_sessions()
                bench.stream.peer = bench.dialog.peer = "proxy.example"
                said = bench.over_stream(inside(method, 2, From=from_, extra=CONTACT))
                self.assertEqual(isinstance(said[0], InDialogRequestReceived), is_heard, (method, from_))
                self.assertEqual(bench.core.counters.foreign_requests, not is_heard)

    def test_no_such_dialog(self) -> None:
        """Any of the three wrong, or the tags the wrong way round, is 481 (row:G6)."""
        for more in (
            {"Call-ID": "call-2"},
            {"To": "<sip:user@example.com>;tag=other"},
            {"From": "<sip:peer@peer.example>;tag=other"},
            {"From": "<sip:peer@peer.example>;tag=ours", "To": "<sip:user@example.com>;tag=ft"},
        ):
            bench = DialogBench()
            octets = message(
                "INFO", replace={"To": "<sip:user@example.com>;tag=ours", "CSeq": "2 INFO", **more}, branch="z9hG4bKx"
            )
            self.assertEqual(statuses_of(bench.over_stream(octets)), [481], more)

    def test_what_is_looked_at_first(self) -> None:
        """Extensions and bodies are looked at in a dialog as outside; any method may have a meaning there (section 8.2,
        row:H25)."""
        for octets, status in (
            (inside("PRACK", 2), None),
            (inside("DANCE", 2), None),
            (inside("INFO", 2, extra="\r\nRequire: dancing"), 420),
            (inside("INVITE", 2, extra="\r\nAccept: text/plain"), 406),
            (message("INFO", branch="z9hG4bKy", body=b"x", extra="\r\nContent-Encoding: gzip",
                     replace={"To": "<sip:user@example.com>;tag=ours", "CSeq": "2 INFO"}), 415),
            (inside("OPTIONS", 2), 200),
        ):  # fmt: skip
            self.assertEqual(DialogBench().status(octets), status, octets)

    def test_merged(self) -> None:
        """A request in a dialog that comes by a second path while the first is worked on is 482 (fault:C7)."""
        bench = DialogBench()
        self.assertEqual(bench.status(inside("INVITE", 2, branch="z9hG4bKone")), None)
        self.assertEqual(bench.status(inside("INVITE", 2, branch="z9hG4bKtwo")), 482)
        self.assertEqual(bench.core.counters.merged_requests, 1)

    def test_same_branch_another_call(self) -> None:
        """One branch in two dialogs is one transaction: the second request is taken for the first, sent again
        (fault:C7)."""
        bench = DialogBench()
        bench.dialog_of("call-2")
        (first,) = bench.over_stream(inside("INFO", 2, branch="z9hG4bKsame"))
        self.assertIsInstance(first, InDialogRequestReceived)
        self.assertEqual(bench.over_stream(inside("INFO", 2, branch="z9hG4bKsame", call_id="call-2")), [])

    def test_reinvite_with_the_branch_of_the_invite(self) -> None:
        """A re-INVITE that bears the branch of the INVITE is absorbed by that transaction, and nothing breaks
        (fault:C7)."""
        bench = DialogBench()
        (first,) = bench.over_stream(message("INVITE", extra=CONTACT))
        assert isinstance(first, RequestReceived)
        answer = bench.core.response(first.transaction, 200)
        bench.core.respond(first.transaction, answer, 0.0)
        bench.core.take_outputs()
        self.assertEqual(bench.over_stream(inside("INVITE", 2, branch="z9hG4bKb1")), [])

    def test_whose_party_answers(self) -> None:
        """In a dialog the party of the dialog answers, whatever the Request-URI has become on the way (section 12.2.2,
        row:G6)."""
        bench = DialogBench()
        other = Profile("other", ("INFO",))
        bench.core.directory.add(other, SipUri.parse("sip:other@example.com"), "other-token")
        InviteUsage.resumed(bench.core, bench.dialog, bench.profile)
        bench.profile.supported.add("dancing")
        bench.core.directory.fallback = None
        for cseq, uri in enumerate(("sip:other@example.com", "sip:nobody@elsewhere.example", HERE), 2):
            octets = inside("INFO", cseq, extra="\r\nRequire: dancing").replace(HERE.encode(), uri.encode(), 1)
            (output,) = bench.over_stream(octets)
            self.assertIsInstance(output, InDialogRequestReceived, uri)

    def test_ack(self) -> None:
        """An ACK comes with its dialog, and without where it names none or a stranger sent it (row:G6, fault:D1)."""
        bench = DialogBench()
        (mine,) = bench.over_stream(inside("ACK", 1))
        (unknown,) = bench.over_stream(inside("ACK", 1, call_id="call-2", branch="z9hG4bK2"))
        bench.stream = Flow("TLS", True, "here.example:5061", "192.0.2.66", 40000, "other.example")
        (foreign,) = bench.over_stream(inside("ACK", 1, branch="z9hG4bK3"))
        for output, dialog in ((mine, bench.dialog), (unknown, None), (foreign, None)):
            assert isinstance(output, AckReceived)
            self.assertIs(output.dialog, dialog)

    def test_cancel_comes_along(self) -> None:
        """What a CANCEL ended is told with the CANCEL, which may say why (row:H18)."""
        bench = DialogBench()
        bench.over_stream(inside("INVITE", 2, branch="z9hG4bKi"))
        octets = inside("CANCEL", 2, branch="z9hG4bKi", extra='\r\nReason: SIP;cause=200;text="elsewhere"')
        (abandoned,) = [out for out in bench.over_stream(octets) if isinstance(out, RequestAbandoned)]
        assert abandoned.request is not None
        self.assertEqual(abandoned.request.headers["Reason"], 'SIP;cause=200;text="elsewhere"')

    def test_from_of_another(self) -> None:
        """In a dialog the peer keeps the name that the dialog was made with; another From is held against its
        certificate (RFC 4916, fault:D1)."""

        class Nobody:
            """Refuses every From."""

            def refusal(self, request: Request, profile: object) -> str:
                """Always the same."""
                return "no"

        bench = DialogBench()
        bench.stream.sender_check = Nobody()
        self.assertEqual(bench.status(inside("INFO", 2)), None)
        self.assertEqual(bench.status(inside("INFO", 3, From="<sip:chief@b.example>;tag=ft")), 403)


class PreferenceTests(SynchronousTestCase):
    """RFC 3841 section 6: a user agent is the only one that a proxy could choose."""

    def test_unwanted(self) -> None:
        """Whoever would rather reach nobody than this party reaches nobody: 480. (row:A18)"""
        for field, status in (
            ("Accept-Contact: *;video;require", 480),
            ("Accept-Contact: *;video", None),
            ("Accept-Contact: *;audio;require;explicit", None),
            ("Accept-Contact: *;text;require", None),
            ("Accept-Contact: *;text;require;explicit", 480),
            ('Accept-Contact: *;methods="INVITE";require', None),
            ('Accept-Contact: *;methods="PUBLISH";require', 480),
            ("Reject-Contact: *;audio", 480),
            ("Reject-Contact: *;audio;text", None),
            ('Accept-Contact: *;+sip.instance="<urn:uuid:1>";require;explicit', None),
            ('Accept-Contact: *;+sip.instance="<urn:uuid:2>";require;explicit', 480),
            ("Accept-Contact: nonsense", 400),
        ):
            bench = party_with_sessions()
            bench.profile.features.add("audio")
            bench.profile.features.add("video", False)
            bench.profile.instance_id = "urn:uuid:1"
            outputs = bench.over_stream(message("INVITE", extra=f"{CONTACT}\r\n{field}"))
            self.assertEqual(statuses_of(outputs), [] if status is None else [status], field)

    def test_not_in_a_dialog(self) -> None:
        """Who is in a dialog with a party has chosen it, whatever fields its requests carry. (row:A18)"""
        bench = party_with_sessions()
        bench.profile.features.add("audio")
        (output,) = bench.over_stream(inside("INFO", 2, extra="\r\nReject-Contact: *;audio"))
        self.assertIsInstance(output, InDialogRequestReceived)

    def test_no_more_said_than_asked(self) -> None:
        """A method that nobody takes is 405 before anything is compared. (row:A18)"""
        bench = party_with_sessions()
        bench.profile.features.add("audio")
        refused = message("PUBLISH", extra="\r\nReject-Contact: *;audio")
        self.assertEqual(statuses_of(bench.over_stream(refused)), [405])


class OutsideTests(SynchronousTestCase):
    """What is asked outside of any dialog, or in the dialog of somebody else."""

    METHODS = "BYE INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER SUBSCRIBE UPDATE DANCE".split()

    def test_every_method_without_a_dialog(self) -> None:
        """Without a dialog nothing reaches the application but what it takes from anybody (fault:D4, fault:D5).

        A method of dialogs alone is 481, one that nobody takes 405 or 501.
        """
        expected = {
            "BYE": 481, "INFO": 481, "INVITE": None, "MESSAGE": None, "NOTIFY": 405, "OPTIONS": 200, "PRACK": 481,
            "PUBLISH": 405, "REFER": 405, "SUBSCRIBE": 405, "UPDATE": 481, "DANCE": 501,
        }  # fmt: skip
        for method in self.METHODS:
            bench = party_with_sessions()
            outputs = bench.over_stream(message(method, branch=f"z9hG4bK{method}", extra=CONTACT))
            self.assertEqual(statuses_of(outputs), [] if expected[method] is None else [expected[method]], method)
            reached = [output for output in outputs if isinstance(output, RequestReceived)]
            self.assertEqual(len(reached), expected[method] is None, method)

    def test_every_method_in_a_dialog_that_is_none(self) -> None:
        """With a tag of ours that no dialog has, it is 481 for every method that there is (fault:D4, row:G6)."""
        for method in self.METHODS:
            bench = party_with_sessions()
            expected = {"DANCE": 501, "PUBLISH": 405, "REFER": 405, "SUBSCRIBE": 405}.get(method, 481)
            self.assertEqual(bench.status(inside(method, 2, call_id="none")), expected, method)

    def test_every_method_in_the_dialog_of_another(self) -> None:
        """A verified peer that knows the tags of another peer's dialog gets what it would get without any (fault:D1,
        fault:D4)."""
        for method in self.METHODS:
            answers = []
            for call_id in ("call-1", "none"):
                bench = party_with_sessions()
                bench.stream = Flow("TLS", True, "here.example:5061", "192.0.2.66", 40000, "other.example")
                answers.append(statuses_of(bench.over_stream(inside(method, 2, call_id=call_id))))
                self.assertEqual(bench.core.counters.foreign_requests, call_id == "call-1")
                self.assertIn(bench.dialog, bench.core.dialogs)
                self.assertEqual(bench.dialog.remote_cseq, 1)
            self.assertEqual(answers[0], answers[1], method)
            self.assertTrue(answers[0], method)

    def test_unauthenticated(self) -> None:
        """Whoever proved nothing has no part in the dialog of a party that did (fault:D1, fault:D4)."""
        for flow in (
            Flow("UDP", False, "here.example", "192.0.2.9", 5060),
            Flow("TCP", True, "here.example", "192.0.2.9", 40000),
            Flow("TLS", True, "here.example:5061", "192.0.2.9", 40000),
            Flow("WSS", True, "here.example:443", "192.0.2.9", 40000),
        ):
            bench = party_with_sessions()
            bench.stream = flow
            self.assertEqual(bench.status(inside("BYE", 2)), 481, flow.transport)

    def test_replaces_of_anothers_dialog(self) -> None:
        """An INVITE that would take over a dialog is one like any other: Replaces and Join are extensions that nobody
        has, and required they are refused (fault:D5)."""
        for field, tag in (("Replaces", "replaces"), ("Join", "join")):
            bench = party_with_sessions()
            takeover = f"\r\n{field}: call-1;to-tag=ours;from-tag=ft{CONTACT}"
            replace = {"Call-ID": "takeover", "From": "<sip:evil@peer.example>;tag=evil"}
            required = message("INVITE", branch="z9hG4bKr", replace=replace, extra=takeover + f"\r\nRequire: {tag}")
            self.assertEqual(bench.status(required), 420)
            replace["CSeq"] = "2 INVITE"
            (output,) = bench.over_stream(message("INVITE", branch="z9hG4bKs", replace=replace, extra=takeover))
            self.assertIsInstance(output, RequestReceived)
            self.assertIn(bench.dialog, bench.core.dialogs)

    def test_refer_and_subscribe(self) -> None:
        """REFER and SUBSCRIBE, whatever they name and for however long, are 405 where nobody takes them, and make
        nothing (fault:D5, fault:D6)."""
        for expires in ("0", "1", "3600", "4294967295", "99999999999999999999", "-1", "x"):
            bench = party_with_sessions()
            fields = f"\r\nExpires: {expires}\r\nEvent: presence{CONTACT}"
            self.assertEqual(bench.status(message("SUBSCRIBE", extra=fields)), 405, expires)
            self.assertEqual(len(bench.core.dialogs), 1)
        for target in ("sip:evil@evil.example", "sip:a@127.0.0.1:22", "sips:x?Replaces=call-1", "tel:+1900", "file:/x"):
            bench = party_with_sessions()
            octets = message("REFER", extra=f"\r\nRefer-To: <{target}>{CONTACT}")
            self.assertEqual(bench.status(octets), 405, target)

    def test_too_many_dialogs(self) -> None:
        """With as many dialogs as there may be, a new INVITE is 503, and the old ones go on (fault:D9)."""
        bench = party_with_sessions()
        bench.core.dialogs.limit = 3
        bench.dialog_of("call-2")
        bench.dialog_of("call-3")
        (refusal,) = bench.over_stream(message("INVITE", branch="z9hG4bKn", replace={"Call-ID": "n"}, extra=CONTACT))
        self.assertTrue(refusal.data.startswith(b"SIP/2.0 503 "))
        self.assertIn(b"\r\nRetry-After: ", refusal.data)
        self.assertEqual(bench.core.counters.refused_dialogs, 1)
        for method in ("INVITE", "BYE"):
            (output,) = bench.over_stream(inside(method, 2, call_id="call-2" if method == "BYE" else "call-1"))
            self.assertIsInstance(output, InDialogRequestReceived)
        (text,) = bench.over_stream(message("MESSAGE", branch="z9hG4bKm", body=b"x", replace={"Call-ID": "m"}))
        self.assertIsInstance(text, RequestReceived)
        bench.core.dialogs.discard(bench.dialog)
        (output,) = bench.over_stream(message("INVITE", branch="z9hG4bKo", replace={"Call-ID": "o"}, extra=CONTACT))
        self.assertIsInstance(output, RequestReceived)

    def test_half_of_the_room(self) -> None:
        """However many INVITEs one party has ringing, or whoever comes by UDP, the calls of others are heard
        (fault:D9)."""
        verified = Flow("TLS", True, "here.example:5061", "192.0.2.66", 40000, "other.example")
        clear = Flow("TCP", True, "here.example", "192.0.2.67", 40000)
        hosts = itertools.count(1)
        for flood in (
            lambda: Flow("TLS", True, "here.example:5061", f"192.0.2.{next(hosts)}", 40000, "flood.example"),
            lambda: Flow("TCP", True, "here.example", "192.0.2.9", 40000 + next(hosts)),
            lambda: Flow("UDP", False, "here.example", f"198.51.100.{next(hosts)}", 5060),
        ):
            bench = party_with_sessions()
            bench.core.layer.bound(20, 100, 10, 100_000)
            reached: list[RequestReceived] = []
            for number in range(30):
                bench.stream = flood()
                fields = {"Call-ID": f"f{number}"}
                octets = message("INVITE", branch=f"z9hG4bKf{number}", replace=fields, extra=CONTACT)
                reached += [said for said in bench.over_stream(octets) if isinstance(said, RequestReceived)]
            self.assertEqual((len(reached), bench.core.counters.refused_full), (11, 19))
            for flow in (verified, clear):
                bench.stream = flow
                octets = message("INVITE", branch=f"z9hG4bK{flow.transport}", replace={"Call-ID": "n"}, extra=CONTACT)
                self.assertIsInstance(bench.over_stream(octets)[0], RequestReceived)
            bench.core.answer(reached[0].transaction, 486, 0.0)
            bench.core.take_outputs()
            bench.stream = flood()
            self.assertIsInstance(bench.over_stream(message("INVITE", extra=CONTACT))[0], RequestReceived)
            for said in reached[1:]:
                bench.core.flow_failed(said.flow, ConnectionFailure("gone"), 0.0)
            waiting = bench.core.layer.table.inviting
            self.assertLessEqual(sum(waiting.values()), 3)

    def test_no_room_but_for_an_end(self) -> None:
        """With as many transactions as there may be, a call can still be cancelled and hung up; what ends nothing is
        503 (fault:D9)."""
        bench = party_with_sessions()
        bench.core.layer.bound(1, 10, 10, 100_000)
        invite = message("INVITE", branch="z9hG4bKn", replace={"Call-ID": "n"}, extra=CONTACT)
        (ringing,) = bench.over_stream(invite)
        self.assertIsInstance(ringing, RequestReceived)
        for octets in (
            message("MESSAGE", branch="z9hG4bKm", body=b"x", replace={"Call-ID": "m"}),
            message("CANCEL", branch="z9hG4bKother", replace={"Call-ID": "n"}),
            message("BYE", branch="z9hG4bKb", replace={"To": "<sip:bob@b.example>;tag=unknown"}),
        ):
            self.assertEqual(bench.status(octets), 503)
        (output,) = bench.over_stream(inside("BYE", 2))
        self.assertIsInstance(output, InDialogRequestReceived)
        bench.core.answer(output.transaction, 200, 0.0)
        bench.core.take_outputs()
        outputs = bench.over_stream(message("CANCEL", branch="z9hG4bKn", replace={"Call-ID": "n"}))
        names = [type(output).__name__ for output in outputs]
        self.assertEqual(names, ["SendMessage", "SendMessage", "RequestAbandoned"])
        self.assertFalse(bench.core.layer.is_full)

    def test_flood_of_early_dialogs(self) -> None:
        """10^5 INVITEs that nobody ever finishes leave as many dialogs as there may be, and the table no larger
        (fault:D9)."""
        bench = party_with_sessions()
        bench.core.dialogs.limit = 1000
        octets = message("INVITE", replace={"Call-ID": "seed"}, extra=CONTACT)
        invite = parse_message(octets)
        assert isinstance(invite, Request)
        for number in range(100_000):
            if not bench.core.dialogs.is_full:
                dialog = Dialog.of_callee(invite, f"tag{number}", bench.stream)
                bench.core.dialogs.add(dialog)
        self.assertEqual(len(bench.core.dialogs), 1000)
        refused = sum(
            bench.status(
                message("INVITE", branch=f"z9hG4bKf{number}", replace={"Call-ID": f"f{number}"}, extra=CONTACT)
            )
            == 503
            for number in range(500)
        )
        self.assertEqual(refused, 500)
        # 11.2: OPTIONS asks whether an INVITE would be accepted.
        asked = message("OPTIONS", branch="z9hG4bKo", replace={"Call-ID": "o"})
        self.assertEqual(bench.status(asked), 503)
        self.assertEqual(bench.core.layer.inventory()["servers"], 0)
