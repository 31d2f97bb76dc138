"""Subscriptions, publications and referrals with SIPp, which says what is written down for it and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p import EventStateCompositor, PresencePackage, RequestFailed
from sip_p2p.documents.pidf import Presence
from tests.interop.events import EventTestCase, Watch
from tests.interop.peers.scenario import ANSWER, OFFER, Scenario
from tests.interop.peers.sipp import Sipp
from tests.interop.support import Party

if TYPE_CHECKING:
    from sip_p2p import Subscription

ON_LOOPBACK = "port=0:interface=127.0.0.1"
PIDF = "Content-Type: application/pidf+xml"
ASKS = ("Event: presence", "Accept: application/pidf+xml")


def everybody(*arguments: object) -> bool:
    """SIPp proves nothing: whoever asks is told."""
    return True


def told(note: str) -> str:
    """A presence document as SIPp says it."""
    return Presence.of("sip:sipp@127.0.0.1", note=note).to_bytes().decode()


class SippEventTestCase(EventTestCase):
    """One SIPp, and a party of ours."""

    needs = (Sipp,)

    async def plays(self, scenario: Scenario, party: Party | None = None) -> Sipp:
        """SIPp over TCP, which begins with *party* or waits."""
        sipp = self.peer(Sipp)
        target = None if party is None else ("127.0.0.1", party.manager.listening_port)
        await sipp.play(scenario, "tcp", target)
        return sipp

    async def notifier(self) -> tuple[Party, PresencePackage]:
        """A party whose presence everybody may watch."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        package = PresencePackage(may_watch=everybody)
        party.endpoint.packages.add(package)
        package.set(party.uri("tcp"), Presence.of(party.uri("tcp"), note="desk"))
        return party, package


class SubscriberTests(SippEventTestCase):
    """We subscribe, and SIPp notifies."""

    async def test_before_the_response(self) -> None:
        """The first NOTIFY comes before the 2xx to its SUBSCRIBE, and the subscription stands (row:J1, limit:L2)."""
        scenario = Scenario().gets("SUBSCRIBE", wants={"Event": "presence"})
        scenario.notifies(1, "active;expires=600", body=told("early"), lines=[PIDF])
        scenario.answers(200, "SUBSCRIBE", lines=["Expires: 600"])
        scenario.notifies(2, "active;expires=599", body=told("late"), lines=[PIDF])
        scenario.gets("SUBSCRIBE", name="last", wants={"Expires": "0"}).answers(200, "last", lines=["Expires: 0"])
        scenario.notifies(3, "terminated;reason=timeout")
        sipp = await self.plays(scenario)
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        watch = await self.watch(party.endpoint, sipp.uri("tcp"), "presence")
        await watch.says("early")
        await watch.says("late")
        await watch.subscription.terminate()
        await sipp.answered()

    async def test_forked(self) -> None:
        """Two notifiers answer one SUBSCRIBE: by default the first has it and the other is told 481, and with a handler
        each is a subscription of its own (row:J1, limit:L2)."""
        for takes_all in (False, True):
            scenario = Scenario().gets("SUBSCRIBE").answers(200, "SUBSCRIBE", lines=["Expires: 600"])
            scenario.notifies(1, "active;expires=600", body=told("one"), lines=[PIDF])
            status = 200 if takes_all else 481
            scenario.notifies(1, "active;expires=600", body=told("two"), lines=[PIDF], tag="other", status=status)
            if takes_all:
                scenario.notifies(2, "terminated;reason=noresource", tag="other")
            scenario.notifies(2, "terminated;reason=noresource")
            sipp = await self.plays(scenario)
            party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
            forks: list[Watch] = []

            def forked(subscription: Subscription, forks: list[Watch] = forks) -> None:
                forks.append(Watch(subscription))

            options = {"forked": forked} if takes_all else {}
            watch = Watch(party.endpoint.create_subscription(sipp.uri("tcp"), "presence", **options))
            await watch.subscription.start()
            await sipp.answered()
            await watch.reaches("TERMINATED")
            self.assertEqual([fork.heard[0].document.tuples[0].notes[0].text for fork in forks], ["two"] * takes_all)

    async def test_refused(self) -> None:
        """SIPp knows no such event (row:J5)."""
        sipp = await self.plays(Scenario().gets("SUBSCRIBE").answers(489, "SUBSCRIBE", lines=["Allow-Events: dialog"]))
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        failing = party.endpoint.subscribe(sipp.uri("tcp"), "presence")
        self.assertEqual((await self.failure_of(failing, RequestFailed)).status, 489)
        await sipp.answered()


class NotifierTests(SippEventTestCase):
    """SIPp subscribes, and we notify."""

    async def test_subscribed(self) -> None:
        """SIPp subscribes, and is told at once (row:J9, row:J13)."""
        party, package = await self.notifier()
        scenario = Scenario(party.uri("tcp")).asks("SUBSCRIBE", 1, lines=[*ASKS, "Expires: 600"])
        scenario.gets(200, of="SUBSCRIBE", wants={"Expires": "600", "Contact": "sip:"})
        scenario.gets("NOTIFY", wants={"Subscription-State": "active;expires=[0-9]+", "": "desk"})
        scenario.answers(200, "NOTIFY")
        sipp = await self.plays(scenario, party)
        await sipp.answered()
        [subscriber] = package.subscribers
        subscriber.terminate("noresource")

    async def test_fetched(self) -> None:
        """SIPp asks once, and is told once (row:J9)."""
        party, package = await self.notifier()
        scenario = Scenario(party.uri("tcp")).asks("SUBSCRIBE", 1, lines=[*ASKS, "Expires: 0"])
        scenario.gets(200, of="SUBSCRIBE", wants={"Expires": "0"})
        scenario.gets("NOTIFY", wants={"Subscription-State": "terminated", "": "desk"}).answers(200, "NOTIFY")
        await (await self.plays(scenario, party)).answered()
        self.assertEqual(len(package.subscribers), 0)

    async def test_not_taken(self) -> None:
        """489 with what there is, 423 with the least, 406 for types that we have not (row:J9, row:J13)."""
        party, _ = await self.notifier()
        for lines, status, wants in (
            (["Event: x-odd", "Expires: 600"], 489, {"Allow-Events": "presence"}),
            ([*ASKS, "Expires: 5"], 423, {"Min-Expires": "60"}),
            (["Event: presence", "Accept: text/x-odd", "Expires: 600"], 406, {}),
        ):
            scenario = Scenario(party.uri("tcp")).asks("SUBSCRIBE", 1, lines=lines)
            await (await self.plays(scenario.gets(status, of="SUBSCRIBE", wants=wants), party)).answered()


class PublicationTests(SippEventTestCase):
    """SIPp publishes at ours, and takes what we publish."""

    async def test_published(self) -> None:
        """Its PUBLISH has an entity-tag, by which it is changed and taken back; a wrong one is told 412 (row:J11,
        row:J12)."""
        party, package = await self.notifier()
        compositor = EventStateCompositor(party.endpoint, [package], may_publish=everybody)
        lines = ["Event: presence", "Expires: 600"]
        scenario = Scenario(party.uri("tcp")).asks("PUBLISH", 1, lines=[*lines, PIDF], body=told("one"))
        scenario.gets(200, of="PUBLISH", wants={"Expires": "600"}, keeps={"SIP-ETag": "etag"})
        scenario.asks("PUBLISH", 2, lines=[*lines, "SIP-If-Match: guessed"]).gets(412, of="PUBLISH")
        scenario.asks("PUBLISH", 3, lines=["Event: presence", "Expires: 0", "SIP-If-Match:[$etag]"])
        await (await self.plays(scenario.gets(200, of="PUBLISH"), party)).answered()
        self.assertEqual(len(compositor), 0)

    async def test_we_publish(self) -> None:
        """SIPp takes ours, and takes it back by its entity-tag (row:J11)."""
        scenario = Scenario().gets("PUBLISH", wants={"Event": "presence"}, lacks=["SIP-If-Match"])
        scenario.answers(200, "PUBLISH", lines=["SIP-ETag: first", "Expires: 600"])
        scenario.gets("PUBLISH", name="last", wants={"SIP-If-Match": "first", "Expires": "0"})
        scenario.answers(200, "last", lines=["SIP-ETag: last", "Expires: 0"])
        sipp = await self.plays(scenario)
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        presence = Presence.of("sip:alice@a.example")
        publication = await party.endpoint.publish("presence", presence, target=sipp.uri("tcp"))
        await publication.remove()
        await sipp.answered()


class ReferTests(SippEventTestCase):
    """REFER within a call."""

    async def test_refused(self) -> None:
        """SIPp declines our REFER, and the call goes on (row:I1)."""
        scenario = Scenario().gets("INVITE").answers(200, body=ANSWER).gets("ACK")
        scenario.gets("REFER", wants={"Refer-To": "sip:carol@c.example"}).answers(603, "REFER")
        sipp = await self.plays(scenario.gets("BYE").answers(200, "BYE"))
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        call = await self.call(party, sipp.uri("tcp"), OFFER)
        failure: Any = await self.failure_of(call.session.transfer("sip:carol@c.example"), RequestFailed)
        self.assertEqual((failure.status, call.session.state.name), (603, "CONNECTED"))
        await call.session.terminate()
        await sipp.answered()
