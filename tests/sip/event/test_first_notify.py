"""Who may answer a SUBSCRIBE with a NOTIFY, and the dialog that it makes (RFC 6665 section 4.4.1)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.flow import Flow
from tests.sip.dialog.dialogs import ProvingFlow, tls
from tests.sip.event.asking import Bench


class WhoTests(SynchronousTestCase):
    """A stranger's NOTIFY makes nothing, whatever it knows."""

    def status(self, sent: Flow, came: Flow, *, is_answered: bool = False) -> str:
        """What a NOTIFY by *came* gets for a SUBSCRIBE that went by *sent*."""
        bench = Bench(flow=sent).begin()
        if is_answered:
            bench.answer(200)
        return bench.notify(flow=came).partition(" ")[0]

    def test_same_party(self) -> None:
        """The party that was asked may answer, by whatever connection of its own."""
        for is_answered in (False, True):
            self.assertEqual(self.status(tls("b.example"), tls("b.example"), is_answered=is_answered), ">200")

    def test_another_party(self) -> None:
        """Another party is answered 481, before the 2xx and after it, and is counted. fault:D4"""
        for is_answered in (False, True):
            for stranger in (tls("m.example"), ProvingFlow("TCP", (), ""), ProvingFlow("TLS", (), "")):
                self.assertEqual(self.status(tls("b.example"), stranger, is_answered=is_answered), ">481")
        bench = Bench().begin()
        bench.notify(flow=tls("m.example"))
        self.assertEqual((bench.core.counters.foreign_requests, len(bench.core.dialogs)), (1, 0))

    def test_behind_a_proxy(self) -> None:
        """Where a proxy was asked, who proves the domain of the target may answer by itself."""
        self.assertEqual(self.status(tls("proxy.example"), tls("b.example")), ">200")
        self.assertEqual(self.status(tls("proxy.example"), tls("c.example")), ">481")

    def test_nobody_verified(self) -> None:
        """Where nobody was verified anybody may answer, but not in clear what went out over TLS."""
        clear, other = ProvingFlow("TCP", (), ""), ProvingFlow("UDP", (), "")
        self.assertEqual(self.status(clear, other), ">200")
        self.assertEqual(self.status(ProvingFlow("TLS", (), ""), clear), ">481")

    def test_nobody_asked(self) -> None:
        """Before the SUBSCRIBE has gone out nobody can have read it."""
        bench = Bench().begin()
        assert bench.errand is not None
        bench.errand.transaction = None
        self.assertEqual(bench.notify(), ">481")

    def test_dialog_of_its_party(self) -> None:
        """The dialog is that party's: another one, with the right tags, is a stranger to it. fault:D4"""
        bench = Bench().begin()
        bench.notify()
        self.assertEqual(bench.notify(flow=tls("m.example")), ">481")
        self.assertEqual(bench.notify("terminated", flow=tls("m.example")), ">481")
        self.assertEqual(bench.state, "active, asking")


class DialogTests(SynchronousTestCase):
    """What the dialog is made of."""

    def test_parts(self) -> None:
        """Tag, route set and target are the NOTIFY's, the rest is ours."""
        bench = Bench().begin()
        bench.notify(cseq=40, fields=(("Record-Route", "<sip:p1.example;lr>, <sip:p2.example;lr>"),))
        dialog = bench.subscriber.dialog
        assert dialog is not None
        self.assertEqual((dialog.call_id, dialog.local_tag, dialog.remote_tag), ("call", "at", "bt"))
        self.assertEqual((dialog.local, str(dialog.remote_uri)), ("<sip:alice@a.example>", "sip:bob@b.example"))
        self.assertEqual((dialog.local_cseq, dialog.remote_cseq, dialog.is_caller), (1, 40, True))
        self.assertEqual(dialog.route_set, ("<sip:p1.example;lr>", "<sip:p2.example;lr>"))
        self.assertEqual((str(dialog.remote_target), dialog.peer), ("sip:bob@192.0.2.2", "b.example"))
        self.assertFalse(dialog.is_early)

    def test_sent_again(self) -> None:
        """Our next request in it counts on from the SUBSCRIBE that was taken, which may have gone out once more with
        another number, because the peer had asked for credentials; whether the NOTIFY or the 2xx comes first."""
        for is_answered in (False, True):
            bench = Bench().begin()
            assert bench.errand is not None
            bench.errand.plan.cseq = 2
            if is_answered:
                bench.answer(200)
            bench.notify()
            assert bench.subscriber.dialog is not None
            self.assertEqual(bench.subscriber.dialog.plan("SUBSCRIBE").cseq, 3)

    def test_sips(self) -> None:
        """RFC 5630: what was asked of a sips URI is answered from a sips Contact, or not at all."""
        bench = Bench().start("sips:bob@b.example")
        bench.said()
        self.assertEqual(bench.notify(), ">400")
        self.assertEqual(bench.notify(contact="<sips:bob@192.0.2.2>"), ">200 [notified active]")
        dialog = bench.subscriber.dialog
        assert dialog is not None
        self.assertTrue(dialog.is_secure)
