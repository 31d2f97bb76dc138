"""All that goes to the hook, beside the party: events, secrets that are read anew, the end."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.webhook.breaker import FAILURES
from sip_p2p.service.webhook.deliverer import LAST_MOMENT, Deliverer
from sip_p2p.service.webhook.signature import verify
from tests.service.support import parsed
from tests.service.webhook.support import EPOCH, MemoryHook, later, numbered, settings, status, verified
from tests.support import SynchronousTestCase

OTHER = b"another secret, for the rotation"


class Rig:
    """A deliverer, its hook, and what happens."""

    def __init__(self, case: SynchronousTestCase, *behaviours: Any, **changes: Any) -> None:
        self.clock = Clock()
        self.hook = MemoryHook(*behaviours)
        self.happenings = Happenings(clock=self.wall)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.happenings.follow(lambda each: self.events.append((each.event, dict(each.fields))))
        self.folder = Path(case.mktemp())
        self.settings = settings(self.folder, **changes)
        self.deliverer = Deliverer(
            self.clock,
            self.happenings,
            self.settings,
            agent=self.hook.agent,
            clock=self.wall,
            token=numbered(),
        )

    def wall(self) -> float:
        """The clock on the wall."""
        return EPOCH + self.clock.seconds()


class EventTests(SynchronousTestCase):
    """Events that the hook is told of."""

    def test_those_that_were_asked_for(self) -> None:
        """row:M14: the events of --webhook-events are delivered with their number, others are not."""
        rig = Rig(self, events=frozenset(["session-state"]))
        rig.happenings.emit("flow-opened", flow=1)
        rig.happenings.emit("session-state", call_id="c1", state="connected")
        (delivery,) = rig.hook.deliveries
        self.assertEqual(verified(delivery), "msg_1")
        self.assertEqual(delivery.kind, "session-state")
        self.assertEqual(delivery.data, {"number": 2, "call_id": "c1", "state": "connected"})

    def test_the_order_of_a_session(self) -> None:
        """Events of one session arrive in their order, though the hook fails on the first of them."""
        rig = Rig(self, status(500), lambda _: b"")
        for state in ("connecting", "connected", "disconnected"):
            rig.happenings.emit("session-state", call_id="c1", state=state)
        rig.clock.pump([0.5] * 4)
        self.assertEqual(
            [each.data["state"] for each in rig.hook.deliveries],
            ["connecting", "connecting", "connected", "disconnected"],
        )

    def test_a_loss_is_told(self) -> None:
        """An event that is lost is told of with its id and why, once, and does not go to the hook."""
        rig = Rig(self, status(410), events=frozenset(["state", "webhook-lost"]))
        rig.happenings.emit("state", state="connected")
        self.assertEqual(
            [(event, fields) for event, fields in rig.events if event == "webhook-lost"],
            [("webhook-lost", {"delivery": "msg_1", "type": "state", "words": "refused: status 410", "lost": 1})],
        )
        self.assertEqual(len(rig.hook.deliveries), 1)
        self.assertEqual(rig.deliverer.counters["lost"], 1)

    def test_a_dead_hook_is_told(self) -> None:
        """That the hook is left alone, and that it is asked again, is told once each."""
        rig = Rig(self, *[status(500)] * FAILURES, lambda _: b"")
        for number in range(FAILURES):
            rig.happenings.emit("session-state", call_id=str(number))
        rig.clock.pump([0.5] * 200)
        states = [fields["state"] for event, fields in rig.events if event == "webhook-state"]
        self.assertEqual(states, ["left-alone", "asked"])
        words = [fields.get("words") for event, fields in rig.events if event == "webhook-state"]
        self.assertEqual(words, ["server-error: status 500", None])
        self.assertEqual((rig.deliverer.counters["delivered"], rig.deliverer.counters["lost"]), (FAILURES, 0))

    def test_none(self) -> None:
        """With no events nobody is followed."""
        rig = Rig(self, events=frozenset())
        rig.happenings.emit("session-state", call_id="c1")
        self.assertEqual(rig.hook.deliveries, [])


class LifeTests(SynchronousTestCase):
    """From the start to the end."""

    def test_the_start(self) -> None:
        """What is told at the start has the place, and never a secret of the URL; clear text is warned of."""
        said: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_namespace") == "sip_p2p.service.webhook":
                said.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        rig = Rig(self, url="http://hook.example/?token=t", place="http://hook.example:80/", is_risky=True)
        rig.deliverer.started()
        self.assertEqual(len(said), 2)
        self.assertIn("http://hook.example:80/", said[0])
        self.assertIn("--webhook-allow-clear-text", said[1])
        self.assertNotIn("token", "".join(said))

    def test_a_reload(self) -> None:
        """row:M15: secrets that are read anew sign what comes; a file that cannot be used changes nothing."""
        rig = Rig(self)
        secret = Path(rig.settings.secret_file)
        self.assertEqual(rig.deliverer.reload(), [])
        secret.write_text(f"whsec_{base64.b64encode(OTHER).decode()}\n{secret.read_text()}")
        self.assertEqual(rig.deliverer.reload(), [f"2 webhook secrets from {secret}"])
        secret.write_text("nothing")
        self.assertEqual(rig.deliverer.reload(), [])
        secret.unlink()
        self.assertEqual(rig.deliverer.reload(), [])
        rig.deliverer.tell("state", {})
        (delivery,) = rig.hook.deliveries
        self.assertEqual(verify([OTHER], delivery.fields, delivery.raw, EPOCH), verified(delivery))

    def test_authorities_are_read_anew(self) -> None:
        """row:M15: so are the authorities that may vouch for the hook; those that cannot be read change nothing."""
        folder = Path(self.mktemp())
        folder.mkdir()
        path = CertificateAuthority.create().write(folder)
        rig = Rig(self, url="https://hook.example/", is_secure=True, host="hook.example", trust=str(path))
        self.assertEqual(rig.deliverer.reload(), [])
        path.write_text("nothing")
        self.assertEqual(rig.deliverer.reload(), [])

    def test_from_options(self) -> None:
        """The command line makes one, and none without --webhook."""
        secret = settings(Path(self.mktemp())).secret_file
        hook = ("--webhook", "http://localhost/", "--webhook-secret-file", secret)
        made = Deliverer.from_options(Clock(), Happenings(), parsed("--uri", "sip:bob@b.example", *hook))
        assert made is not None
        self.assertEqual(made.settings.url, "http://localhost/")
        self.assertIsNone(Deliverer.from_options(Clock(), Happenings(), parsed("--uri", "sip:bob@b.example")))

    def test_files_that_cannot_be_used(self) -> None:
        """A file that cannot be used is one line that names it."""
        folder = Path(self.mktemp())
        good = settings(folder)
        for change, words in (
            ({"secret_file": str(folder / "none")}, "cannot be read: No such file"),
            ({"is_secure": True, "trust": str(folder / "none")}, "cannot be read"),
        ):
            error = self.assertRaises(ValueError, Deliverer, Clock(), Happenings(), good._replace(**change))
            self.assertIn(words, str(error))
            self.assertIn(str(folder / "none"), str(error))
        (folder / "secret").write_bytes(b"\xff")
        self.assertIn("no text", str(self.assertRaises(ValueError, Deliverer, Clock(), Happenings(), good)))

    def test_the_end(self) -> None:
        """At the end what can be delivered at once is, and what cannot is lost, counted and told."""
        rig = Rig(self, later)
        rig.happenings.emit("state", state="disconnected")
        ending = rig.deliverer.ended()
        assert ending is not None
        self.assertNoResult(ending)
        rig.clock.advance(LAST_MOMENT)
        self.successResultOf(ending)
        self.assertEqual([event for event, _ in rig.events], ["state", "webhook-lost"])
        self.assertEqual(rig.clock.getDelayedCalls(), [])
        rig.happenings.emit("state", state="nobody hears")
        self.assertEqual(len(rig.hook.deliveries), 1)

    def test_an_end_without_anything(self) -> None:
        """A deliverer that has nothing to do ends at once."""
        rig = Rig(self)
        ending = rig.deliverer.ended()
        assert ending is not None
        self.successResultOf(ending)
