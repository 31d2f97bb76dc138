"""An INVITE of ours, and CANCEL with what it crosses, in every order: :mod:`sip_p2p.sip.dialog.client_invitation`."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.call_options import CallOptions
from tests.sip.dialog.calling import ANSWER, CallBench

EVENTS = ("wish", "100", "180", "200", "487", "33 s", "flow lost")


def race(order: tuple[str, ...]) -> tuple[int, str]:
    """What RFC 3261 makes of these events in this order: how many CANCELs go out, and the outcome."""
    is_wished = is_heard = False
    cancels = 0
    for what in order:
        if what == "wish":
            is_wished = True
        elif what in ("100", "180"):
            is_heard = True
        elif what == "200":
            # 13.2.2.4: a session, or ACK and BYE for one that is not wanted.
            return cancels, "ended 200" if is_wished else "established"
        elif what == "487":
            return cancels, "ended 487"
        elif what == "flow lost":
            # 17.1.4
            return cancels, "ended ConnectionFailure"
        elif not is_heard or is_wished:
            # 17.1.1.2: timer B without a provisional response. 9.1: 64*T1 after a CANCEL.
            return cancels, "ended OperationTimeout"
        if is_wished and is_heard:
            # 9.1: as soon as both are there, and once.
            cancels = 1
    return cancels, "pending"


class RaceTests(SynchronousTestCase):
    """CANCEL in every race."""

    def happen(self, bench: CallBench, what: str) -> None:
        """Let one of :data:`EVENTS` happen."""
        if what == "wish":
            bench.cancel()
        elif what == "33 s":
            bench.pass_by(33.0)
        elif what == "flow lost":
            bench.lose_flow()
        else:
            bench.answer(bench.response(int(what), description=ANSWER if what == "200" else None))

    def test_all_interleavings(self) -> None:
        """9.1: whatever crosses whatever, CANCEL goes out once or never, and there is one outcome. row:H16 fault:C5"""
        for order in itertools.permutations(EVENTS):
            cancels, outcome = race(order)
            bench = CallBench()
            for what in order:
                self.happen(bench, what)
            outcomes = [said for said in bench.alice.heard if said.startswith("ended") or said == "established"]
            self.assertEqual(len(bench.requests("CANCEL")), cancels, order)
            self.assertEqual(outcomes, [] if outcome == "pending" else [outcome], order)
            # The ACK of a 2xx is a transaction of its own; that of a 487 has the INVITE's branch.
            branch = bench.requests("INVITE")[0].via.branch
            acks = [ack for ack in bench.requests("ACK") if ack.via.branch != branch]
            self.assertEqual(len(acks), outcome in ("established", "ended 200"), order)
            self.assertEqual(len(bench.requests("BYE")), outcome == "ended 200", order)

    def test_nothing_stays(self) -> None:
        """However a call ends, nothing of it is left. row:H16 fault:C5"""
        for order in itertools.permutations(EVENTS, 4):
            bench = CallBench(CallOptions(max_ring=60.0))
            for what in order:
                self.happen(bench, what)
            bench.pass_by(200.0)
            bench.hang_up()
            bench.pass_by(200.0)
            self.assertEqual(set(bench.alice.inventory().values()), {0}, order)
            self.assertEqual(bench.state(), "ended", order)
            self.assertFalse(bench.call.usages, order)

    def test_cancel_looks_like_its_invite(self) -> None:
        """9.1: CANCEL has the Request-URI, branch, tags and number of its INVITE, and what the wish says. row:H16"""
        bench = CallBench(fields=[("Subject", "x")])
        bench.cancel([("Reason", "SIP;cause=200")])
        self.assertEqual(bench.answer(bench.response(100)), [">CANCEL", "user:progress 100"])
        (invite,), (cancel,) = bench.requests("INVITE"), bench.requests("CANCEL")
        for name in ("Via", "From", "To", "Call-ID", "Max-Forwards"):
            self.assertEqual(cancel.headers[name], invite.headers[name])
        self.assertEqual(cancel.uri_text, invite.uri_text)
        self.assertEqual(str(cancel.cseq), "1 CANCEL")
        self.assertEqual(cancel.headers["Reason"], "SIP;cause=200")
        self.assertNotIn("Subject", cancel.headers)

    def test_final_response_to_cancel_means_nothing(self) -> None:
        """9.1: what CANCEL is answered, 200 or 481, says nothing of the INVITE. row:H16 fault:C5"""
        for status in (200, 481, 500):
            bench = CallBench()
            bench.answer(bench.response(100))
            bench.cancel()
            (cancel,) = bench.requests("CANCEL")
            self.assertEqual(bench.answer(bench.response(status, to=cancel)), [])
            self.assertEqual(bench.state(), "cancelling")
            self.assertEqual(bench.answer(bench.response(487)), [">ACK", "user:ended 487"])

    def test_unwritable_wish(self) -> None:
        """A CANCEL that could not be written is refused when it is wished for, and nothing changes. row:H16"""
        for fields in ([("Via", "x")], [("Reason", "a\r\nb")]):
            bench = CallBench()
            self.assertRaises(ValueError, bench.call.cancel, bench.now, fields)
            self.assertEqual(bench.state(), "calling")

    def test_no_room(self) -> None:
        """A CANCEL goes out however many requests wait for their answers. row:H16 fault:C5"""
        bench = CallBench()
        bench.answer(bench.response(100))
        bench.alice.core.layer.bound(1, 1, 1, 1)
        self.assertEqual(bench.cancel(), [">CANCEL"])

    def test_cancelled_while_dialling(self) -> None:
        """9.1: what was never sent is not cancelled: it is never sent. row:H16"""
        bench = CallBench(is_dialling=True)
        self.assertEqual(bench.cancel(), ["user:ended"])
        bench.alice.dialled()
        self.assertEqual(bench.said(), [])
        self.assertEqual(set(bench.alice.inventory().values()), {0})

    def test_no_other_server_after_the_wish(self) -> None:
        """RFC 3263 section 4.3: a call that is not wanted any more is not tried at another server. row:H16"""
        for status in (None, 100):
            bench = CallBench()
            if status is not None:
                bench.answer(bench.response(status))
            errand = bench.call.errand
            assert errand is not None
            bench.alice.held.append(errand)
            bench.cancel()
            self.assertEqual(bench.alice.held, [])

    def test_between_two_servers(self) -> None:
        """9.1: one server has refused, the next one is being dialled: there is nothing to cancel. row:H16 fault:C5"""
        bench = CallBench()
        bench.answer(bench.response(180))
        errand = bench.call.errand
        assert errand is not None
        errand.transaction = None
        self.assertEqual(bench.cancel(), ["user:usage ended EARLY", "user:ended"])

    def test_in_one_delivery(self) -> None:
        """9.1: no CANCEL goes out when the final response is there already, though nobody was told of it yet. row:H16
        fault:C5"""
        for status, expected in ((200, [">ACK", ">BYE"]), (486, [">ACK"])):
            description = ANSWER if status == 200 else None
            bench = CallBench()
            bench.cancel()
            said = bench.answer_together(bench.response(180), bench.response(status, description=description))
            self.assertEqual([entry for entry in said if entry.startswith(">")], expected)
            self.assertIn(f"user:ended {status}", said)
            # The application gives up after both were read, and before they are told.
            bench = CallBench()
            said = bench.answer_together(
                bench.response(180),
                bench.response(status, description=description),
                then=lambda call=bench.call, now=bench.now: call.cancel(now),
            )
            self.assertEqual([entry for entry in said if entry.startswith(">")], expected)
            self.assertIn(f"user:ended {status}", said)

    def test_cancel_of_an_accepted_call(self) -> None:
        """9.1: CANCEL has no effect on what was accepted; a BYE has. row:H16"""
        bench = CallBench()
        bench.answer(bench.response(200, description=ANSWER))
        self.assertEqual(bench.cancel(), [])
        self.assertEqual(bench.do(lambda: bench.call.usage.bye(bench.now)), [">BYE"])
