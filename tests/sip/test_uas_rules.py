"""Requests in a dialog, as a UAS looks at them before an application does (RFC 3261 sections 8.2 and 12.2.2)."""

from __future__ import annotations

from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import InDialogRequestReceived
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request
from sip_p2p.sip.outputs import AckReceived, RequestAbandoned, RequestReceived
from sip_p2p.sip.parse import parse_message
from tests.sip.harness import CoreBench, message, statuses_of
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


class InDialogTests(SynchronousTestCase):
    """Section 12.2.2."""

    def test_to_the_dialog(self) -> None:
        """A request with the Call-ID and both tags of a dialog comes with that dialog (row:G6)."""
        bench = DialogBench()
        (output,) = bench.over_stream(inside("INFO", 2))
        assert isinstance(output, InDialogRequestReceived)
        self.assertEqual((output.dialog, output.request.method, output.flow), (bench.dialog, "INFO", bench.stream))

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
        """Extensions and bodies are looked at in a dialog as outside of one; any method may have a meaning there (section
        8.2, row:H25)."""
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
