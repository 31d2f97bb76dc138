"""The application that runs, and what takes its place."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.endpoint.subscription.notification import Notification
from sip_p2p.endpoint.subscription.packages.presence import PresencePackage
from sip_p2p.endpoint.subscription.subscription import Subscription
from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
from sip_p2p.errors import RequestFailed
from sip_p2p.service.applications import Application
from sip_p2p.service.applications.loader import Loader
from sip_p2p.service.applications.running import RunningApplication, authorizer
from sip_p2p.testing import Network
from sip_p2p.transport.dns.resolver import StaticResolver
from sip_p2p.transport.trust.identity import TrustPolicy
from tests.service.applications.support import setting
from tests.service.support import TWISTD, Process, keys
from tests.support import SynchronousTestCase, TestCase, reactor

NAME = "sip_p2p_test_reloaded"

FIRST = """
from sip_p2p.service.applications import Application

STATUS = 201
stopped = []

class Mine(Application):
    methods = ("INFO",)

    def message(self, event):
        return STATUS

    def request(self, event):
        return STATUS

    def reload(self):
        return ["mine was asked"]

    async def stopped(self):
        stopped.append(STATUS)
"""

SECOND = """
from sip_p2p.service.applications import Application

STATUS = 202

class Mine(Application):
    methods = ("PUBLISH",)

    def message(self, event):
        return STATUS

    def request(self, event):
        return STATUS

    def session(self, session):
        session.reject(603)

    def authorize(self, connection):
        return True
"""


class ReloadTests(SynchronousTestCase):
    """row:M14: a class whose file has changed."""

    def setUp(self) -> None:
        """Bob runs what stands in a file."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / f"{NAME}.py"
        self.write(FIRST)
        sys.path.insert(0, str(folder))
        self.addCleanup(sys.path.remove, str(folder))
        self.addCleanup(sys.modules.pop, NAME, None)
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example")
        self.bob = self.network.party("sip:bob@b.example")
        self.addCleanup(self.network.finish)
        loader = Loader(f"{NAME}:Mine", setting())
        self.running = RunningApplication(loader.load(), loader)
        self.running.attach(self.bob)

    def write(self, text: str) -> None:
        """Another file takes the place of the one there is."""
        made = self.path.with_suffix(".new")
        made.write_text(text)
        os.replace(made, self.path)

    def statuses(self) -> list[int]:
        """What a MESSAGE, an INFO, a PUBLISH and a session are answered."""
        asked: list[Any] = [
            self.alice.send_message("sip:bob@b.example", "x"),
            self.alice.request("INFO", "sip:bob@b.example"),
            self.alice.request("PUBLISH", "sip:bob@b.example", headers=(("Event", "x"),)),
            self.alice.invite("sip:bob@b.example", "v=0"),
        ]
        self.network.advance(1)
        found = []
        for each in asked:
            each.addErrback(lambda failure: failure.trap(RequestFailed) and failure.value.response)
            found.append(self.successResultOf(each).status)
        return found

    def test_another_takes_over(self) -> None:
        """row:M14: what comes from then on goes to the new class: its methods, sessions and connections; the old one is
        told that it has ended."""
        self.assertEqual(self.statuses(), [201, 201, 405, 405])
        self.assertIsNone(authorizer(self.running))
        first = sys.modules[NAME]
        self.write(SECOND)
        self.assertEqual(self.running.reload(), [f"the application {NAME}:Mine was read anew"])
        self.assertEqual(self.statuses(), [202, 481, 202, 603])
        self.assertIsNotNone(self.bob.connection_manager.keeper.authorization)
        self.assertEqual(first.stopped, [201])
        self.write(FIRST)
        self.running.reload()
        self.assertEqual(self.statuses(), [201, 201, 405, 405])
        self.assertIsNone(self.bob.connection_manager.keeper.authorization)

    def test_the_same_file(self) -> None:
        """Where the file is the same, the application itself is asked what it has to read."""
        self.assertEqual(self.running.reload(), ["mine was asked"])
        self.path.unlink()
        self.assertEqual(self.running.reload(), ["mine was asked"])

    def test_a_broken_file(self) -> None:
        """row:M14: what is broken leaves the old one in use, whole, and it is not tried again until it changes."""
        broken = (
            "STATUS = 299\nraise RuntimeError('no')\n",
            "class :\n",
            FIRST.replace("Mine(", "Other("),
            FIRST.replace("class Mine(Application):", "class Mine:"),
            FIRST.replace('("INFO",)', '("IN FO",)'),
        )
        for text in broken:
            with self.subTest(text):
                self.write(text)
                self.assertEqual(self.running.reload(), [])
                self.assertEqual(self.statuses(), [201, 201, 405, 405])
                self.assertEqual(self.running.reload(), ["mine was asked"])
        self.write(FIRST.replace("STATUS = 201", "STATUS = 203"))
        self.running.reload()
        self.assertEqual(self.statuses()[0], 203)

    def test_one_that_fails_at_its_start(self) -> None:
        """One that fails at its start does not take over."""
        self.write(FIRST + "\n    def started(self, endpoint):\n        raise RuntimeError('no')\n")
        self.assertEqual(self.running.reload(), [])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.statuses()[0], 201)

    def test_an_end_that_fails(self) -> None:
        """An old one that fails at its end harms nobody."""
        for text in ("raise RuntimeError('no')", "return self.late()"):
            self.write(
                FIRST.replace(
                    "async def stopped(self):\n        stopped.append(STATUS)", f"def stopped(self):\n        {text}"
                )
                + "\n    async def late(self):\n        raise RuntimeError('late')\n"
            )
            self.running.reload()
            self.write(SECOND)
            self.running.reload()
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.statuses()[0], 202)

    def test_without_a_loader(self) -> None:
        """An application that was given is asked what it has to read, and never replaced."""

        class Mine(Application):
            def reload(self) -> list[str]:
                """It has something."""
                return ["asked"]

        self.assertEqual(RunningApplication(Mine()).reload(), ["asked"])


class SignalTests(TestCase):
    """A running process."""

    async def test_sighup(self) -> None:
        """row:M14: SIGHUP lets the class of a changed file take over in a process that goes on."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        path = folder / f"{NAME}.py"
        path.write_text(FIRST)
        made = keys()
        service = Process(
            self, (*TWISTD, "-n", "--pidfile="), "sip-p2p", "--uri", "sip:user@a.example",
            "--certificate", str(made / "a.example.pem"), "--trust", str(made / "ca.pem"), "--allow", "b.example",
            "--listen", "tls:port=0:interface=127.0.0.1", "--application", f"{NAME}:Mine", folders=(str(folder),),
        )  # fmt: skip
        line = await deferToThread(service.wait_for, "listens on")
        manager = RealTimeServerTlsConnectionManager(
            reactor, made / "b.example.pem", trust=made / "ca.pem", allow=TrustPolicy.parse(["a.example"])
        )
        self.addCleanup(manager.terminate)
        manager.resolver = StaticResolver({"a.example": ("127.0.0.1", int(line.rpartition(":")[2]))}, manager.resolver)
        theirs = SipPeerToPeerEndpoint("sip:user@b.example", manager)
        self.assertEqual((await theirs.send_message("sip:user@a.example", "x")).status, 201)
        path.write_text(SECOND)
        service.signal(signal.SIGHUP)
        await deferToThread(service.wait_for, f"the application {NAME}:Mine was read anew")
        self.assertEqual((await theirs.send_message("sip:user@a.example", "x")).status, 202)
        path.write_text("class :")
        service.signal(signal.SIGHUP)
        await deferToThread(service.wait_for, "the application stays as it was: the module")
        self.assertEqual((await theirs.send_message("sip:user@a.example", "x")).status, 202)


class LifeTests(SynchronousTestCase):
    """What lives beside sessions reaches the application."""

    def test_referrals(self) -> None:
        """fault:D5: REFERs are refused where the application knows nothing of them, and where they are to be."""

        class Taking(Application):
            def referral(self, referral: IncomingReferral) -> None:
                referral.decline(486)

        for application, takes, status in ((Application(), True, 405), (Taking(), True, 486), (Taking(), False, 405)):
            network = Network()
            self.addCleanup(network.finish)
            alice, bob = network.party("sip:alice@a.example"), network.party("sip:bob@b.example")
            RunningApplication(application, takes_referrals=takes).attach(bob)
            referring = alice.refer("sip:bob@b.example", "sip:carol@c.example")
            network.advance(2)
            self.assertEqual(self.failureResultOf(referring).value.response.status, status)

    def test_notified(self) -> None:
        """An application hears of each notification, whoever has subscribed."""
        heard: list[str] = []

        class Hearing(Application):
            def notified(self, subscription: Subscription, notification: Notification) -> None:
                heard.append(notification.state)

        network = Network()
        self.addCleanup(network.finish)
        alice, bob = network.party("sip:alice@a.example"), network.party("sip:bob@b.example")
        alice.packages.add(PresencePackage())
        RunningApplication(Hearing()).attach(bob)
        subscribing = bob.subscribe("sip:alice@a.example", "presence")
        network.advance(2)
        self.successResultOf(subscribing)
        self.assertEqual(heard, ["active"])
