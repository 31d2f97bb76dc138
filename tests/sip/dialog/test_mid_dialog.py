"""What requests and responses in a dialog carry besides their own matter, as values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import ConnectionFailure, InvalidOperation
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.dialog.mid_dialog import (
    capability_fields,
    describe_plan,
    describe_response,
    in_dialog_response,
    judge_timer,
    refuse,
    refuse_pending,
    timer_request_fields,
    timer_response_fields,
    timer_response_received,
)
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import RequestReceived
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.transaction.layer import ServerTransaction
from tests.sip.dialog.one_usage import OneUsage
from tests.sip.harness import CoreBench, message, statuses_of

DESCRIBED = ContentDescription(b"{}", "application/json", "session;handling=required")


class FieldTests(SynchronousTestCase):
    """What we say of ourselves."""

    def test_capabilities(self) -> None:
        """Allow and Supported always, Recv-Info where it may stand, empty too (RFC 6086 section 5.2), Allow-Events
        where there are event packages (RFC 6665 section 4.4.4). row:J10"""
        profile = Profile(None, ("INVITE", "UPDATE"), ("timer", "100rel"))
        always = [("Allow", profile.allow_value), ("Supported", profile.supported_value)]
        self.assertEqual(capability_fields(profile), [*always, ("Recv-Info", "")])
        self.assertEqual(capability_fields(profile, True, False), always)
        profile.event_packages = ("presence", "dialog")
        self.assertEqual(capability_fields(profile)[-1], ("Allow-Events", "presence, dialog"))
        profile.event_packages = ()
        profile.info_packages = ("dtmf", "other")
        self.assertEqual(capability_fields(profile)[-1], ("Recv-Info", "dtmf, other"))

    def test_descriptions(self) -> None:
        """A description brings its type and what it is for; none brings nothing."""
        plan = RequestPlan("UPDATE", "sip:b@b.example", "<sip:a@a.example>", "t", "c")
        describe_plan(plan, None)
        self.assertEqual((plan.body, plan.fields), (b"", []))
        describe_plan(plan, DESCRIBED)
        self.assertEqual((plan.body, plan.content_type), (DESCRIBED.body, DESCRIBED.content_type))
        self.assertEqual(plan.fields, [("Content-Disposition", DESCRIBED.disposition)])
        response = Response(200)
        describe_response(response, None)
        self.assertEqual(list(response.headers), [])
        describe_response(response, DESCRIBED)
        self.assertEqual(response.body, DESCRIBED.body)
        self.assertEqual(response.headers.get("Content-Disposition"), DESCRIBED.disposition)

    def test_contact(self) -> None:
        """What may change a session names where we are; who has no Contact cannot answer it."""
        one = OneUsage("they re-INVITE")
        usage, incoming = one.usage, one.usage.incoming
        assert incoming is not None
        response = in_dialog_response(usage, incoming.transaction, 200)
        self.assertEqual(response.headers.get("Contact"), one.party.contact_on(one.party.flow, False))
        usage.dialog.is_secure = True
        response = in_dialog_response(usage, incoming.transaction, 200)
        self.assertIn("sips:", response.headers["Contact"])
        usage.profile = Profile()
        with self.assertRaises(InvalidOperation):
            in_dialog_response(usage, incoming.transaction, 200)


class RefuseTests(SynchronousTestCase):
    """Final responses that are no 2xx."""

    def setUp(self) -> None:
        """A request that waits."""
        self.bench = CoreBench()
        self.core = self.bench.core
        self.transaction = self.receive("z9hG4bKa")

    def receive(self, branch: str) -> ServerTransaction:
        """Another request."""
        outputs = self.bench.over_udp(message(branch=branch, replace={"Call-ID": branch}))
        return next(output.transaction for output in outputs if isinstance(output, RequestReceived))

    def test_once(self) -> None:
        """A request is refused once; what was answered stays answered."""
        refuse(self.core, self.transaction, 488, 0.0, (("X-Why", "not now"),), "No")
        (said,) = self.core.take_outputs()
        self.assertIn(b"SIP/2.0 488 No\r\n", said.data)  # type: ignore[union-attr]
        self.assertIn(b"X-Why: not now\r\n", said.data)  # type: ignore[union-attr]
        refuse(self.core, self.transaction, 500, 0.0)
        self.assertEqual(self.core.take_outputs(), [])

    def test_retry_after(self) -> None:
        """A 500 of ours says when to come again; other statuses do not."""
        refuse(self.core, self.transaction, 500, 0.0)
        (said,) = self.core.take_outputs()
        self.assertIn(b"Retry-After: ", said.data)  # type: ignore[union-attr]
        refuse(self.core, self.receive("z9hG4bKb"), 491, 0.0)
        (said,) = self.core.take_outputs()
        self.assertNotIn(b"Retry-After: ", said.data)  # type: ignore[union-attr]

    def test_flow_lost(self) -> None:
        """Nobody is refused over a flow that is gone, and nothing is raised (section 17.2.4)."""
        self.core.flow_failed(self.bench.udp, ConnectionFailure("lost"), 0.0)
        self.core.take_outputs()
        refuse(self.core, self.transaction, 487, 0.0)
        self.assertEqual(self.core.take_outputs(), [])

    def test_pending(self) -> None:
        """Of several requests those that wait still are answered 487; a key that leads nowhere is passed over."""
        other = self.receive("z9hG4bKb")
        refuse(self.core, other, 488, 0.0)
        self.core.take_outputs()
        refuse_pending(self.core, (self.transaction.key, other.key, "nothing"), 0.0)
        self.assertEqual(statuses_of(self.core.take_outputs()), [487])


class TimerTests(SynchronousTestCase):
    """The session timer's fields, early and established (RFC 4028)."""

    def test_early(self) -> None:
        """Nothing in an early dialog speaks of session timers, whatever the peer says."""
        usage = OneUsage("early, we called").usage
        request = Request("UPDATE", "sip:a@a.example", [("Session-Expires", "5"), ("Supported", "timer")])
        response = Response(200, None, [("Session-Expires", "90;refresher=uac")])
        self.assertEqual(timer_request_fields(usage, "UPDATE"), [])
        self.assertEqual(judge_timer(usage, request), (0, []))
        self.assertEqual(timer_response_fields(usage, "UPDATE", 0.0), [])
        timer_response_received(usage, response, 0.0)
        self.assertIs(usage.session_timer, None)

    def test_the_peer_asks(self) -> None:
        """Who never thought of a timer goes along with the peer's, and refuses one that is too small: row:H26."""
        one = OneUsage("confirmed")
        usage = one.usage
        usage.session_timer = None
        short = Request("UPDATE", "sip:a@a.example", [("Session-Expires", "60"), ("Supported", "timer")])
        self.assertEqual(judge_timer(usage, short), (422, [("Min-SE", "90")]))
        usage.session_timer = None
        one.receive("UPDATE", None, ("Session-Expires", "120;refresher=uac"), ("Supported", "timer"))
        assert usage.session_timer is not None
        self.assertEqual(usage.session_timer.interval, 120)
        self.assertIn(b"Session-Expires: 120;refresher=uac", one.pair.octets[-1])

    def test_the_2xx_asks(self) -> None:
        """A 2xx with Session-Expires starts a timer that nobody asked for; one without does not (section 7.2)."""
        usage = OneUsage("confirmed").usage
        usage.session_timer = None
        timer_response_received(usage, Response(200), 0.0)
        self.assertIs(usage.session_timer, None)
        timer_response_received(usage, Response(200, None, [("Session-Expires", "90;refresher=uas")]), 0.0)
        assert usage.session_timer is not None
        self.assertEqual(usage.session_timer.interval, 90)
        self.assertNotEqual(timer_request_fields(usage, "UPDATE"), [])
