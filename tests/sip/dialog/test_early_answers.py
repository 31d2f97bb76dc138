"""What is said to an INVITE before its final response: how it is written, how it arrives, and how often it is said."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation, RestrictedHeader
from sip_p2p.sip.dialog.answer_options import AnswerOptions
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.dialog.effects import AnswerReceived, OfferReceived
from tests.sip.dialog.answering import ANSWER, OFFER, AnswerBench
from tests.support import vectors

SECOND = ContentDescription(b"v=0\r\ns=second\r\n")


def ring(bench: AnswerBench, status: int = 180, **how: object) -> list[str]:
    """Let Bob ring; return what comes of it."""
    return bench.do(lambda: bench.call.ring(bench.now, status, **how))


def accept(bench: AnswerBench, *how: object, **named: object) -> list[str]:
    """Let Bob accept; return what comes of it."""
    return bench.do(lambda: bench.call.accept(bench.now, *how, **named))


class CompositionTests(SynchronousTestCase):
    """What stands in a response that makes a dialog."""

    def test_what_a_dialog_needs(self) -> None:
        """12.1.1, 13.3.1.4: tag, Contact, all of Record-Route, Allow and Supported, in provisional responses and 2xx
        alike. row:H8 row:H4"""
        routes = "<sip:p1.example;lr>, <sip:p2.example;lr>"
        bench = AnswerBench(fields={"Record-Route": routes})
        ring(bench)
        accept(bench, ANSWER)
        for response in bench.responses:
            headers = response.headers
            self.assertEqual(headers["Record-Route"], routes)
            self.assertEqual(headers["Contact"], "<sip:bob@bob.example:5061;transport=tls>")
            self.assertEqual(headers["Allow"], bench.bob.profile.allow_value)
            self.assertEqual(headers["Supported"], "100rel, 199, timer")
            self.assertEqual(response.to.tag, bench.bob.usage.dialog.local_tag)
        self.assertEqual(bench.bob.usage.dialog.route_set, ("<sip:p1.example;lr>", "<sip:p2.example;lr>"))

    def test_packages(self) -> None:
        """RFC 6086 section 5.2.3: Recv-Info answers Recv-Info, the same each time, and nothing else. row:H25"""
        for fields in ({}, {"Recv-Info": "other"}):
            bench = AnswerBench(fields=fields)
            bench.bob.profile.info_packages = ("dtmf",)
            ring(bench)
            accept(bench, ANSWER)
            said = [response.headers.get("Recv-Info") for response in bench.responses]
            self.assertEqual(said, ["dtmf", "dtmf"] if fields else [None, None])

    def test_any_provisional_status(self) -> None:
        """21.1: 101 to 198 with any phrase and any fields of the application's. row:H8"""
        bench = AnswerBench()
        for status, phrase, written in ((101, None, "Provisional"), (182, "2 ahead of you", "2 ahead of you"),
                                        (183, "", ""), (198, "Läuft", "Läuft")):  # fmt: skip
            ring(bench, status, reason=phrase, fields=[("Alert-Info", "<http://b.example/r>")])
            response = bench.responses[-1]
            self.assertEqual((response.status, response.reason), (status, written))
            self.assertEqual(response.headers["Alert-Info"], "<http://b.example/r>")

    def test_what_cannot_be_said(self) -> None:
        """100 is the transaction's, 199 says that a dialog is over, and what cannot be written is refused. row:H8"""
        bench = AnswerBench()
        for status in (0, 99, 100, 199, 200, 486, 700):
            self.assertRaises(ValueError, bench.call.ring, 0.0, status)
        self.assertRaises(ValueError, bench.call.ring, 0.0, 180, "no\r\nway")
        self.assertRaises(ValueError, bench.call.ring, 0.0, fields=[("Subject", "no\r\nway")])
        self.assertRaises(ValueError, bench.call.ring, 0.0, fields=[("no way", "x")])
        for name in ("Contact", "To", "Via", "Record-Route", "CSeq", "Content-Type"):
            self.assertRaises(RestrictedHeader, bench.call.ring, 0.0, fields=[(name, "x")])
        self.assertEqual((bench.said(), bench.state), ([], "waiting"))

    def test_sips(self) -> None:
        """12.1.1: who came by sips gets a sips Contact back."""
        bench = AnswerBench(fields={"Contact": "<sips:alice@alice.example>"})
        ring(bench)
        self.assertEqual(bench.responses[-1].headers["Contact"], "<sips:bob@bob.example:5061>")

    def test_disposition(self) -> None:
        """RFC 5621: a description is written with its type and its disposition. row:H24"""
        bench = AnswerBench()
        body = b"--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n"
        description = ContentDescription(body, "multipart/mixed;boundary=x", "session;handling=optional")
        ring(bench, 183, description=description)
        headers = bench.responses[-1].headers
        self.assertEqual(headers["Content-Type"], "multipart/mixed;boundary=x")
        self.assertEqual(headers["Content-Disposition"], "session;handling=optional")
        self.assertEqual(bench.responses[-1].body, body)

    def test_nobody_to_come_back_to(self) -> None:
        """A party that has no Contact makes no dialog, and the INVITE can still be refused."""
        bench = AnswerBench()
        bench.bob.profile.contact = None
        self.assertRaises(InvalidOperation, bench.call.ring, 0.0)
        self.assertRaises(InvalidOperation, bench.call.accept, 0.0, ANSWER)
        self.assertEqual(bench.do(lambda: bench.call.reject(500, 0.0))[0], ">500")


class RefreshTests(SynchronousTestCase):
    """13.3.1.1: a proxy that hears nothing for three minutes would end it."""

    def times(self, bench: AnswerBench, seconds: float) -> list[tuple[float, str]]:
        """What is said in *seconds*, and when."""
        bench.said()
        heard = []
        while bench.step(bench.now + seconds) and bench.now <= seconds:
            heard += [(round(bench.now, 3), word) for word in bench.said()]
        return heard

    def test_each_minute(self) -> None:
        """13.3.1.1: the last provisional response goes out again each minute. row:H8"""
        for reliable in (False, True):
            bench = AnswerBench(AnswerOptions(max_ring=250.0), reliable=reliable)
            ring(bench)
            ring(bench, 183, description=ANSWER, reliable=False)
            expected = [(60.0, ">183"), (120.0, ">183"), (180.0, ">183"), (240.0, ">183"), (250.0, ">480")]
            said = [entry for entry in self.times(bench, 250.5) if entry[1].startswith(">") and entry[0] <= 250.0]
            self.assertEqual(said, expected)
            self.assertEqual([response.body for response in bench.responses[2:6]], [ANSWER.body] * 4)

    def test_where_nothing_was_said(self) -> None:
        """13.3.1.1: a minute after the INVITE, or after the last early dialog was given up, a 183 says that it is being
        worked on; reliably where it must, and not at all where that would take an offer. row:H8"""
        bench = AnswerBench()
        self.assertEqual(bench.moment(60.0), [">183"])
        (usage,) = bench.call.usages
        self.assertEqual(bench.responses[-1].to.tag, usage.dialog.local_tag)
        self.assertEqual(bench.moment(120.0), [">183"])
        bench.do(lambda: bench.call.end_early(usage, bench.now))
        self.assertEqual(bench.moment(180.0), [">183"])
        self.assertNotEqual(bench.responses[-1].to.tag, usage.dialog.local_tag)
        second = bench.call.usages[0]
        bench.do(lambda: bench.call.accept(bench.now, ANSWER))
        self.assertEqual(bench.responses[-1].to.tag, second.dialog.local_tag)
        required = {"Require": "100rel"}
        bench = AnswerBench(fields=required)
        self.assertEqual(bench.moment(60.0), [">183"])
        self.assertIn("RSeq", bench.responses[-1].headers)
        bench = AnswerBench(offer=None, fields=required)
        self.assertEqual((bench.moment(60.0), bench.moment(120.0), bench.state), ([], [], "waiting"))

    def test_counted_from_the_last(self) -> None:
        """13.3.1.1: what the application says by itself puts it off."""
        bench = AnswerBench()
        ring(bench)
        bench.wait(40.0)
        ring(bench, 182)
        self.assertEqual(bench.moment(60.0), [])
        self.assertEqual(bench.moment(100.0), [">182"])

    def test_of_each_dialog(self) -> None:
        """13.3.1.1: each early dialog says its own last word; one in which nothing was said says nothing. row:H13"""
        bench = AnswerBench()
        ring(bench, 180)
        second, third = bench.call.early_dialog(), bench.call.early_dialog()
        ring(bench, 183, usage=second)
        self.assertIn(third, bench.call.usages)
        self.assertEqual(bench.moment(60.0), [">180", ">183"])
        tags = [response.to.tag for response in bench.responses[-2:]]
        self.assertEqual(tags, [usage.dialog.local_tag for usage in bench.call.usages[:2]])

    def test_after_a_reliable_one(self) -> None:
        """13.3.1.1: what was acknowledged is said again without its description, reliably only where it must. row:H8"""
        for required in (False, True):
            fields = {"Require": "100rel"} if required else {}
            bench = AnswerBench(AnswerOptions(refresh=20.0), fields=fields)
            ring(bench, 183, description=ANSWER)
            first = int(bench.responses[-1].headers["RSeq"])
            bench.prack()
            self.assertEqual(bench.moment(20.0), [">183"])
            again = bench.responses[-1]
            self.assertEqual(again.body, b"")
            self.assertEqual(again.headers.get("RSeq"), str(first + 1) if required else None)
            if required:
                bench.prack()
                bench.said()
                self.assertEqual(bench.moment(40.0), [">183"])
                self.assertEqual(bench.responses[-1].headers["RSeq"], str(first + 2))

    def test_not_while_a_prack_is_missing(self) -> None:
        """RFC 3262 section 3: what is being repeated anyway needs no refresh."""
        bench = AnswerBench(AnswerOptions(refresh=20.0))
        ring(bench, 183, description=ANSWER)
        self.assertEqual(bench.moment(20.0), [])


class ReliableTests(SynchronousTestCase):
    """RFC 3262 section 3."""

    def test_repeated_until_prack(self) -> None:
        """Section 3: T1, then twice as long each time without an end at T2, and 504 after 64*T1. row:H9"""
        for reliable in (False, True):
            bench = AnswerBench(reliable=reliable)
            ring(bench, 183, description=ANSWER)
            bench.said()
            times = []
            while bench.state != "ended" and bench.step(40.0):
                times += [bench.now for word in bench.said() if word == ">183"]
            vector = vectors("timers")["reliable_1xx_no_prack"]
            self.assertEqual(times, [vector["first_interval"] * (2**number - 1) for number in range(1, 7)])
            self.assertEqual((bench.state, bench.now), ("ended", vector["gives_up"]))
            self.assertEqual(bench.responses[6 + 1].status, 504)
            self.assertEqual({response.headers["RSeq"] for response in bench.responses[:7]},
                             {bench.responses[0].headers["RSeq"]})  # fmt: skip

    def test_prack_ends_it(self) -> None:
        """Section 3: after its PRACK nothing is sent again, and another one names nothing. row:H9"""
        bench = AnswerBench()
        ring(bench, 183, description=ANSWER)
        bench.prack()
        self.assertEqual(bench.said(), [">200"])
        self.assertEqual(bench.moment(40.0), [])
        bench.said()
        bench.prack()
        self.assertEqual(bench.said(), [">481"])

    def test_one_at_a_time(self) -> None:
        """Section 3: the next one waits for the PRACK of the one before, and its number is one higher. row:H9"""
        bench = AnswerBench()
        self.assertEqual(ring(bench, 183, reliable=True), [">183"])
        self.assertEqual(ring(bench, 180, reliable=True), [])
        self.assertEqual(ring(bench, 182, reliable=True, description=ANSWER), [])
        self.assertEqual(ring(bench, 181), [">181"])
        bench.prack()
        self.assertEqual(bench.said(), [">200", ">180"])
        bench.prack()
        self.assertEqual(bench.said(), [">200", ">182"])
        self.assertEqual(bench.state, "reliable")
        bench.prack()
        self.assertEqual((bench.said(), bench.state), ([">200"], "ringing"))
        numbers = [int(value) for response in bench.responses if (value := response.headers.get("RSeq"))]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 3)))
        self.assertTrue(1 <= numbers[0] <= 2**31 - 1)

    def test_bounded_queue(self) -> None:
        """A caller that acknowledges nothing makes nobody's memory grow. fault:D9"""
        bench = AnswerBench()
        for _ in range(16):
            ring(bench, 183, reliable=True)
        error = self.assertRaises(InvalidOperation, ring, bench, 183, reliable=True)
        self.assertTrue(error.retryable)
        bench.prack()
        self.assertEqual(ring(bench, 183, reliable=True), [])

    def test_wrong_pracks(self) -> None:
        """Section 3: what acknowledges nothing that is out gets 481, what cannot be read 400. row:H9"""
        bench = AnswerBench()
        ring(bench)
        tag = bench.tag
        for rack, status in (("1 1 INVITE", 481), ("x", 400)):
            bench.prack(rack=rack)
            self.assertEqual(bench.said()[-1], f">{481 if rack == 'x' else status}", rack)
        ring(bench, 183, description=ANSWER)
        number = int(bench.responses[-1].headers["RSeq"])
        for rack, status in (
            (f"{number + 1} 1 INVITE", 481),
            (f"{number} 2 INVITE", 481),
            (f"{number} 1 OPTIONS", 481),
            ("", 481),
            (f"{number} 1", 400),
            (f"{number} INVITE", 400),
            ("0 1 INVITE", 400),
            (f"-{number} 1 INVITE", 400),
            (f"{2**32} 1 INVITE", 400),
        ):
            bench.said()
            bench.prack(rack=rack or f"{number - 1} 1 INVITE", tag=tag)
            self.assertEqual((bench.said(), bench.state), ([f">{status}"], "reliable"), rack)
        bench.request("PRACK", tag)
        self.assertEqual(bench.said(), [">400"])
        bench.prack()
        self.assertEqual((bench.said(), bench.state), ([">200"], "ringing"))

    def test_of_another_dialog(self) -> None:
        """Section 3: each early dialog has its own numbers, and a PRACK in the other one finds nothing. row:H13"""
        bench = AnswerBench()
        ring(bench, 183, description=ANSWER)
        first = bench.responses[-1]
        second = bench.call.early_dialog()
        ring(bench, 183, description=ANSWER, usage=second)
        self.assertNotEqual(first.headers["RSeq"], bench.responses[-1].headers["RSeq"])
        bench.said()
        bench.prack(int(first.headers["RSeq"]), second.dialog.local_tag)
        self.assertEqual(bench.said(), [">481"])
        bench.prack(int(first.headers["RSeq"]), first.to.tag or "")
        self.assertEqual(bench.said(), [">200"])

    POLICIES = (
        # policy, what the caller says, status, description, reliable: asked for; sent reliably, or refused
        ("supported", "Supported: 100rel", None, False, False),
        ("supported", "Supported: 100rel", ANSWER, None, True),
        ("supported", "Supported: 100rel", None, None, False),
        ("supported", "Supported: 100rel", None, True, True),
        ("supported", "Supported: timer", ANSWER, None, False),
        ("supported", "Supported: timer", ANSWER, True, "refused"),
        ("supported", "Require: 100rel", None, None, True),
        ("supported", "Require: 100rel", None, False, "refused"),
        ("off", "Supported: 100rel", ANSWER, None, False),
        ("off", "Supported: 100rel", ANSWER, True, "refused"),
        ("required", "Supported: 100rel", None, None, True),
        ("required", "Supported: 100rel", ANSWER, None, True),
        ("required", "Supported: 100rel", ANSWER, False, False),
        ("required", "Require: 100rel", ANSWER, False, "refused"),
    )

    def test_every_policy(self) -> None:
        """Section 3: reliable where both can and it matters, or where one side insists. row:H9"""
        for policy, caller, description, asked, expected in self.POLICIES:
            name, _, value = caller.partition(": ")
            bench = AnswerBench(AnswerOptions(policy), supported="timer", fields={name: value})
            case = (policy, caller, description, asked)
            if expected == "refused":
                self.assertRaises(InvalidOperation, ring, bench, 183, description=description, reliable=asked)
                self.assertEqual(bench.said(), [], case)
                continue
            ring(bench, 183, description=description, reliable=asked)
            response = bench.responses[-1]
            self.assertEqual(("RSeq" in response.headers, "Require" in response.headers), (expected, expected), case)

    def test_not_without_its_tag(self) -> None:
        """19.2: a party whose Supported lacks 100rel sends nothing reliably. row:H9 row:A19"""
        bench = AnswerBench()
        bench.bob.profile.supported.discard("100rel")
        self.assertRaises(InvalidOperation, ring, bench, 183, reliable=True)
        ring(bench, 183, description=ANSWER)
        headers = bench.responses[-1].headers
        self.assertEqual((headers.get("RSeq"), headers["Supported"]), (None, "199, timer"))

    def test_refused_for_its_extensions(self) -> None:
        """Section 3: 421 for who cannot where it is required, 420 for who requires what is off. row:H9"""
        bench = AnswerBench(AnswerOptions("required"), supported="timer")
        self.assertEqual((bench.said(), bench.responses[-1].headers["Require"]), ([">421"], "100rel"))
        bench = AnswerBench(AnswerOptions("off"), fields={"Require": "100rel"})
        self.assertEqual((bench.said(), bench.responses[-1].headers["Unsupported"]), ([">420"], "100rel"))

    def test_late_offer(self) -> None:
        """13.2.1: where the caller made no offer, the first reliable response does. row:H22"""
        bench = AnswerBench(AnswerOptions("required"), None)
        ring(bench, 180)
        self.assertNotIn("RSeq", bench.responses[-1].headers)
        self.assertRaises(InvalidOperation, ring, bench, 180, reliable=True)
        self.assertRaises(InvalidOperation, ring, bench, 183, description=OFFER, reliable=False)
        ring(bench, 183, description=OFFER)
        self.assertEqual(bench.responses[-1].body, OFFER.body)
        ring(bench, 180, reliable=True)
        bench.said()
        bench.prack(body=ANSWER.body)
        self.assertEqual(bench.said(), [">200", "user:answer", ">180"])
        effect = bench.bob.effects[-1]
        assert isinstance(effect, AnswerReceived)
        self.assertEqual((effect.description, effect.is_preview), (ANSWER, False))


class PrackOfferTests(SynchronousTestCase):
    """RFC 3262 section 5."""

    def offered(self) -> AnswerBench:
        """A call whose caller has made a second offer in its PRACK."""
        bench = AnswerBench()
        ring(bench, 183, description=ANSWER)
        bench.prack(body=SECOND.body)
        self.assertEqual(bench.said(), ["user:offer"])
        return bench

    def test_answered(self) -> None:
        """Section 5: the 2xx of the PRACK answers the offer that it made. row:H9"""
        bench = self.offered()
        effect = bench.bob.effects[-1]
        assert isinstance(effect, OfferReceived)
        self.assertEqual(effect.description, SECOND)
        bench.do(lambda: bench.bob.usage.answer(ANSWER, bench.now, [("Subject", "here")]))
        response = bench.responses[-1]
        self.assertEqual((response.status, response.body, response.headers["CSeq"]), (200, ANSWER.body, "2 PRACK"))
        self.assertEqual(response.headers["Subject"], "here")
        self.assertIs(bench.bob.usage.local_description, ANSWER)
        self.assertRaises(InvalidOperation, bench.bob.usage.answer, ANSWER, bench.now)

    def test_the_2xx_waits_for_it(self) -> None:
        """Section 3: what was accepted goes out when the PRACK's offer has its answer. row:H9 row:H4"""
        bench = self.offered()
        self.assertEqual((accept(bench), bench.state), ([], "held"))
        self.assertEqual(bench.do(lambda: bench.bob.usage.answer(ANSWER, bench.now)), [">200", ">200"])
        self.assertEqual([response.headers["CSeq"] for response in bench.responses[-2:]], ["2 PRACK", "1 INVITE"])
        self.assertEqual(bench.responses[-1].body, b"")

    def test_declined(self) -> None:
        """RFC 6337 section 2.3: an offer in a PRACK cannot be refused alone, so the INVITE is as well."""
        bench = self.offered()
        said = bench.do(lambda: bench.bob.usage.decline(488, bench.now))
        self.assertEqual(said, [">488", ">488", "user:usage ended EARLY", "user:ended 488"])

    def test_nobody_answers(self) -> None:
        """8.2.6.1: an application that leaves the offer alone for 30 s loses the PRACK, and the INVITE with it."""
        bench = self.offered()
        bench.moment(29.9)
        bench.wait(1.0)
        self.assertEqual({">500", "user:usage ended EARLY", "user:ended 500"} - set(bench.log), set())
        bench.wait(300.0)
        self.assertEqual(set(bench.bob.inventory().values()), {0})

    def test_over_before_the_answer(self) -> None:
        """15.1.2: with the INVITE ends the PRACK that waits, and an answer comes too late."""
        bench = self.offered()
        usage = bench.bob.usage
        bench.cancel()
        self.assertEqual(bench.said(), [">200", ">487", ">487", "user:usage ended EARLY", "user:ended 487"])
        self.assertRaises(InvalidOperation, usage.answer, ANSWER, bench.now)

    def test_refused_where_it_may_not_stand(self) -> None:
        """RFC 3264 section 4: no second offer while ours waits for its answer. row:H9"""
        bench = AnswerBench(offer=None)
        ring(bench, 183, reliable=True, description=OFFER)
        bench.prack()
        # Section 5: it had to answer ours.
        self.assertEqual(bench.said(), [">400", ">488", "user:usage ended EARLY", "user:ended 488"])

    def test_after_the_2xx(self) -> None:
        """14.2, RFC 6337 section 4: an offer in a PRACK that crossed our 2xx has to wait for the ACK. row:H9"""
        bench = AnswerBench()
        ring(bench, 183, description=ANSWER)
        bench.prack()
        ring(bench, 180, reliable=True)
        self.assertEqual(accept(bench), [">200"])
        bench.prack(body=SECOND.body)
        self.assertEqual(bench.said(), [">491"])
        bench.ack()
        bench.request("UPDATE", body=SECOND.body)
        self.assertEqual(bench.said(), ["user:established", "user:offer"])

    def test_a_body_that_cannot_be_read(self) -> None:
        """Section 3: a PRACK that cannot be understood acknowledges nothing."""
        bench = AnswerBench()
        ring(bench, 183, description=ANSWER)
        number = bench.responses[-1].headers["RSeq"]
        tag = bench.tag
        fields = {"RAck": f"{number} 1 INVITE", "Content-Type": "application/sdp", "Content-Disposition": ";;"}
        bench.request("PRACK", tag, b"v=0", fields)
        self.assertEqual(bench.said(), [">400"])
        self.assertEqual(bench.state, "reliable")


class SeveralDialogsTests(SynchronousTestCase):
    """12.1, RFC 6228: a gateway rings several phones."""

    def three(self, **how: object) -> AnswerBench:
        """A call with three early dialogs that the caller has heard of."""
        bench = AnswerBench(**how)
        for usage in (bench.call.early_dialog(), bench.call.early_dialog(), bench.call.early_dialog()):
            ring(bench, usage=usage)
        bench.said()
        return bench

    def test_tags(self) -> None:
        """12.1: each has a tag of its own, and all are found. row:H13"""
        bench = self.three()
        tags = [response.to.tag for response in bench.responses]
        self.assertEqual((len(set(tags)), len(bench.bob.dialogs)), (3, 3))
        self.assertEqual([usage.dialog.local_tag for usage in bench.call.usages], tags)

    def test_one_accepts(self) -> None:
        """RFC 6228 section 5: before the 2xx of one, the others are told that they are over. row:H13 row:H35"""
        bench = self.three()
        first, second, third = bench.call.usages
        said = accept(bench, ANSWER, usage=second)
        self.assertEqual(said, [">199", "user:usage ended FORKED", ">199", "user:usage ended FORKED", ">200"])
        tags = [response.to.tag for response in bench.responses[-3:]]
        self.assertEqual(tags, [usage.dialog.local_tag for usage in (first, third, second)])
        self.assertEqual([dialog.user for dialog in bench.bob.dialogs], [second])
        bench.ack()
        self.assertEqual(bench.said(), ["user:established"])

    def test_199_only_for_who_knows_it(self) -> None:
        """RFC 6228 section 5: nobody else is told, and no dialog that was never shown is named. row:H35"""
        bench = self.three(supported="100rel")
        self.assertNotIn(">199", accept(bench, ANSWER))
        bench = AnswerBench()
        bench.call.early_dialog()
        silent = bench.call.early_dialog()
        self.assertEqual(accept(bench, ANSWER, usage=silent), ["user:usage ended FORKED", ">200"])
        bench = AnswerBench(fields={"Require": "100rel"})
        first = bench.call.ring(0.0)
        bench.bob.work()
        bench.prack()
        bench.said()
        self.assertEqual(bench.do(lambda: bench.call.end_early(first, 0.0)), ["user:usage ended EARLY"])

    def test_199_says_why(self) -> None:
        """RFC 6228 section 5, RFC 3326: a 199 names its dialog, the reason, and describes nothing. row:H35"""
        bench = self.three()
        second = bench.call.usages[1]
        reason = [("Reason", 'SIP;cause=486;text="Busy Here"')]
        said = bench.do(lambda: bench.call.end_early(second, bench.now, reason))
        self.assertEqual((said, bench.state), ([">199", "user:usage ended EARLY"], "ringing"))
        response = bench.responses[-1]
        self.assertEqual((response.to.tag, response.body), (second.dialog.local_tag, b""))
        self.assertEqual(response.headers["Reason"], 'SIP;cause=486;text="Busy Here"')
        self.assertEqual(response.headers["Supported"], "100rel, timer")
        for wish in (
            lambda: bench.call.ring(bench.now, usage=second),
            lambda: bench.call.accept(bench.now, ANSWER, usage=second),
            lambda: bench.call.end_early(second, bench.now),
        ):
            self.assertRaises(InvalidOperation, wish)

    def test_199_always_says_why(self) -> None:
        """RFC 6228 section 5: a 199 has a Reason, also where nobody gives one. row:H35"""
        bench = self.three()
        first, second, third = bench.call.usages
        bench.do(lambda: bench.call.end_early(first, bench.now, [("X-Note", "no reason")]))
        self.assertEqual(bench.responses[-1].headers["Reason"], "SIP;cause=487")
        accept(bench, ANSWER, usage=second)
        lost, accepted = bench.responses[-2:]
        self.assertEqual((lost.status, lost.to.tag), (199, third.dialog.local_tag))
        self.assertEqual(lost.headers["Reason"], 'SIP;cause=200;text="Call completed elsewhere"')
        self.assertNotIn("Reason", accepted.headers)
        self.assertIn("199", accepted.headers["Supported"])

    def test_one_is_hung_up(self) -> None:
        """15: a BYE in one early dialog ends that one; with the last the INVITE ends too. row:H13"""
        bench = self.three()
        tags = [usage.dialog.local_tag for usage in bench.call.usages]
        for tag in tags[:2]:
            bench.request("BYE", tag)
            self.assertEqual(bench.said(), [">200", "user:usage ended REMOTE_BYE"])
        bench.request("BYE", tags[2])
        self.assertEqual(bench.said(), [">200", "user:usage ended REMOTE_BYE", ">487", "user:ended 487"])
        self.assertEqual(bench.responses[-1].to.tag, tags[2])

    def test_a_cancel_ends_all(self) -> None:
        """9.2: a CANCEL is for the INVITE, whatever dialogs it made. row:H13 fault:C5"""
        bench = self.three()
        bench.cancel()
        self.assertEqual(bench.said(), [">200", ">487", *["user:usage ended EARLY"] * 3, "user:ended 487"])
        self.assertEqual(bench.bob.dialogs, [])

    def test_too_many(self) -> None:
        """Further ones count for the bound on dialogs; the first was let in with the INVITE. fault:D9"""
        bench = AnswerBench()
        bench.bob.core.dialogs.limit = 1
        bench.call.early_dialog()
        error = self.assertRaises(InvalidOperation, bench.call.early_dialog)
        self.assertTrue(error.retryable)
        self.assertEqual(accept(bench, ANSWER), [">200"])
