"""What a service does without a line of code: SIPp, Kamailio and baresip meet each of its applications."""

from __future__ import annotations

import os
import sys
from typing import Any

from tests.interop.namespace import ADDRESS, PrivateNetwork
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.peer import Peer
from tests.interop.peers.program import free_port
from tests.interop.peers.scenario import ANSWER, OFFER, Scenario, session_description
from tests.interop.peers.sipp import Sipp
from tests.interop.peers.steered import SteeredService
from tests.interop.support import TEXT, InteropTestCase, reactor
from tests.manual import ROOT

ON_LOOPBACK = "port=0:interface=127.0.0.1"
HELD = session_description(40000, "sendonly", 2)
HELD_ANSWER = session_description(50000, "recvonly", 2, user="answering")


class ApplicationCase(InteropTestCase):
    """One service, and who talks to it."""

    needs: tuple[Any, ...] = (SteeredService, Sipp)

    async def service(self, application: str, *arguments: str, listen: str = f"tcp:{ON_LOOPBACK}") -> SteeredService:
        """The service in clear text, with *application*."""
        service = self.peer(SteeredService)
        uri = f"--uri=sip:alice@{OUR_HOST}"
        await service.start(uri, f"--application={application}", f"--listen={listen}", *arguments)
        await service.follow()
        return service

    async def proved(self, application: str, *arguments: str) -> SteeredService:
        """The service over mutual TLS."""
        leaf = self.certificates.right("a.example")
        identity = (f"--certificate={leaf.certificate}", f"--trust={self.certificates.trust}", "--allow=localhost")
        return await self.service(application, *identity, *arguments, listen=f"tls:{ON_LOOPBACK}")

    async def kamailio(self, **options: Any) -> Kamailio:
        """Kamailio, which proves to be localhost both ways."""
        kamailio = self.peer(Kamailio)
        leaf = self.certificates.right("localhost")
        await kamailio.start(leaf, self.certificates.trust, client_certificate=leaf, **options)
        return kamailio

    async def calls(self, scenario: Scenario, service: SteeredService, transport: str = "tcp") -> Sipp:
        """SIPp, which plays *scenario* with *service*."""
        sipp = self.peer(Sipp)
        await sipp.play(scenario, transport, ("127.0.0.1", service.port))
        return sipp

    async def is_called(self, scenario: Scenario, transport: str = "tcp") -> Sipp:
        """SIPp, which waits for what *scenario* says."""
        sipp = self.peer(Sipp)
        await sipp.play(scenario, transport)
        return sipp

    async def phone(self, uri: str, **options: Any) -> Baresip:
        """baresip, which dials *uri*."""
        phone = self.peer(Baresip, ADDRESS)
        await phone.start(uri, "udp", **options)
        return phone

    async def enter(self) -> None:
        """Move into a network of the test's own, for baresip."""
        network = PrivateNetwork(reactor, self.folder())
        self.stop_later(network.leave)
        await network.enter()


OUR_HOST = "a.example"


def target(service: SteeredService, transport: str = "tcp") -> str:
    """A URI that reaches *service*."""
    return f"sip:alice@127.0.0.1:{service.port};transport={transport}"


class ControlTests(ApplicationCase):
    """``--application control``: curl decides."""

    needs = (SteeredService, Sipp, Kamailio)

    async def test_calls_come_in(self) -> None:
        """A call by SIPp rings until curl answers it, over UDP and TCP; curl puts it on hold and hangs up (row:M14,
        row:H4)."""
        for transport in ("udp", "tcp"):
            service = await self.service("control", listen=f"{transport}:{ON_LOOPBACK}")
            scenario = Scenario(target(service, transport)).asks("INVITE", 1, body=OFFER).gets(100, optional=True)
            scenario.gets(180).gets(183).gets(200, wants={"": "m=audio 50000"}).asks("ACK", 1)
            scenario.gets("INVITE", name="hold", wants={"": "a=sendonly"}).answers(200, "hold", body=HELD_ANSWER)
            scenario.gets("ACK").gets("MESSAGE", wants={"": "are you there"}).answers(202, "MESSAGE")
            sipp = await self.calls(scenario.gets("BYE").answers(200, "BYE"), service, transport)
            place = f"/v1/sessions/{(await service.told('session'))['session']}"
            offered = await service.asks(200, place)
            self.assertEqual((offered["direction"], offered["offer"]["text"]), ("in", OFFER))
            await service.asks(200, f"{place}/ring", {"status": 183})
            wait = ("-H", "Prefer: wait=10")
            await service.asks(200, f"{place}/answer", {"description": ANSWER})
            await service.reaches("connected")
            held = await service.asks(200, f"{place}/renegotiate", {"description": HELD}, *wait)
            self.assertIn("a=recvonly", str(held))
            said = await service.asks(200, f"{place}/messages", {"text": "are you there"}, *wait)
            self.assertEqual(said["response"]["status"], 202)
            await service.asks(204, place, None, "-X", "DELETE")
            await sipp.answered()

    async def test_calls_are_refused(self) -> None:
        """curl refuses a call of SIPp with a status, a phrase and header fields, and sends another one elsewhere
        (row:M14, row:H5, row:H7)."""
        service = await self.service("control")
        begun = Scenario(target(service)).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180)
        begun.gets(486, wants={"": "486 At lunch", "Retry-After": "60"})
        sipp = await self.calls(begun.asks("ACK", 1, branch="INVITE1"), service)
        place = f"/v1/sessions/{(await service.told('session'))['session']}"
        fields = [{"name": "Retry-After", "value": "60"}]
        await service.asks(200, f"{place}/reject", {"status": 486, "reason": "At lunch", "headers": fields})
        await sipp.answered()
        problem = await service.asks(409, f"{place}/answer", {"description": ANSWER})
        self.assertEqual(problem["type"], "/v1/problems/conflict")
        begun = Scenario(target(service)).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180)
        begun.gets(302, wants={"Contact": "<sip:bob@b.example>"})
        sipp = await self.calls(begun.asks("ACK", 1, branch="INVITE1"), service)
        place = f"/v1/sessions/{(await service.told('session'))['session']}"
        await service.asks(200, f"{place}/redirect", {"contacts": ["sip:bob@b.example"]})
        await sipp.answered()

    async def test_caller_gives_up(self) -> None:
        """SIPp gives up while it rings: curl sees the session end, and finds nothing left to answer (row:H16)."""
        service = await self.service("control")
        scenario = Scenario(target(service)).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180)
        scenario.asks("CANCEL", 1, branch="INVITE1").gets(200, of="CANCEL").gets(487)
        sipp = await self.calls(scenario.asks("ACK", 1, branch="INVITE1"), service)
        number = (await service.told("session"))["session"]
        await sipp.answered()
        await service.reaches("disconnected")
        self.assertEqual((await service.asks(200, f"/v1/sessions/{number}"))["reason"], "canceled")
        await service.asks(409, f"/v1/sessions/{number}/answer", {"description": ANSWER})

    async def test_calls_go_out(self) -> None:
        """curl calls SIPp and waits for the answer; SIPp hangs up. A busy one is a failure with its words (row:H3)."""
        service = await self.service("control")
        scenario = Scenario().gets("INVITE", wants={"X-Ticket": "7"}).answers(180).answers(200, body=ANSWER)
        callee = await self.is_called(scenario.gets("ACK").asks("BYE", 1).gets(200, of="BYE"))
        wait = ("-H", "Prefer: wait=10")
        wanted = {"to": callee.uri("tcp"), "description": OFFER, "headers": [{"name": "X-Ticket", "value": "7"}]}
        session = await service.asks(201, "/v1/sessions", wanted, *wait)
        self.assertIn("m=audio 50000", session["remote_description"]["text"])
        await callee.answered()
        busy = await self.is_called(Scenario().gets("INVITE").answers(486).gets("ACK"))
        session = await service.asks(201, "/v1/sessions", {"to": busy.uri("tcp"), "description": OFFER}, *wait)
        self.assertEqual((session["state"], session["status"]), ("disconnected", 486))
        await busy.answered()

    async def test_messages(self) -> None:
        """curl sends a MESSAGE and OPTIONS to Kamailio over mutual TLS and reads its answers; Kamailio's own MESSAGE is
        in the stream of events with the name that it proved (row:M14, row:D4)."""
        service, kamailio = await self.proved("control"), await self.kamailio()
        wait = ("-H", "Prefer: wait=10")
        sent = await service.asks(200, "/v1/messages", {"to": kamailio.uri("tls"), "text": TEXT}, *wait)
        self.assertEqual((sent["response"]["status"], sent["response"]["reason"]), (200, "Kamailio says yes"))
        self.assertEqual((await kamailio.saw("MESSAGE")).body.decode(), TEXT)
        asked = await service.asks(200, "/v1/requests", {"to": kamailio.uri("tls"), "method": "OPTIONS"}, *wait)
        self.assertEqual(asked["response"]["status"], 200)
        self.assertEqual(await kamailio.request("MESSAGE", target(service, "tls"), TEXT), 200)
        told = await service.told("message")
        self.assertEqual((told["text"], told["peer"]), (TEXT, "localhost"))
        flows = (await service.asks(200, "/v1/flows?peer=localhost"))["flows"]
        self.assertEqual({each["identities"][0] for each in flows}, {"localhost"})
        self.assertIn(told["flow"], [int(each["id"]) for each in flows])


class AnswerTests(ApplicationCase):
    """``--application answer``."""

    needs = (SteeredService, Sipp, Baresip, PrivateNetwork)

    async def test_sipp(self) -> None:
        """SIPp hears it ring and gets the file as the answer; MESSAGE gets the status (row:M14)."""
        body = os.path.join(self.folder(), "answer.sdp")
        with open(body, "w", encoding="ascii", newline="") as file:
            file.write(ANSWER)
        for transport in ("udp", "tcp"):
            service = await self.service(
                "answer",
                f"--answer-body={body}",
                "--answer-after=0.2",
                "--answer-status=202",
                listen=f"{transport}:{ON_LOOPBACK}",
            )
            scenario = Scenario(target(service, transport)).asks("INVITE", 1, body=OFFER).gets(100, optional=True)
            scenario.gets(180).gets(200, wants={"": "m=audio 50000"}).asks("ACK", 1).asks("BYE", 2).gets(200, of="BYE")
            await (await self.calls(scenario, service, transport)).answered()
            there = ("127.0.0.1", service.port)
            await self.peer(Sipp).request("MESSAGE", target(service, transport), there, transport, TEXT, 202)

    async def test_refusing(self) -> None:
        """With a status that refuses, calls of SIPp and its MESSAGE get that (row:H5)."""
        service = await self.service("answer", "--answer-status=480")
        scenario = Scenario(target(service)).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(480)
        await (await self.calls(scenario.asks("ACK", 1, branch="INVITE1"), service)).answered()
        await self.peer(Sipp).request("MESSAGE", target(service), ("127.0.0.1", service.port), "tcp", TEXT, 480)

    async def test_baresip(self) -> None:
        """baresip calls, and is answered with silence in which it can hold and go on (row:M14, row:H20)."""
        await self.enter()
        service = await self.service("answer", "--answer-after=0.2", listen=f"udp:port=0:interface={ADDRESS}")
        uri = f"sip:alice@{ADDRESS}:{service.port}"
        phone = await self.phone(uri)
        phone.dial(uri)
        await phone.program.find("Call established")
        phone.hang_up()
        await service.reaches("disconnected")


class ForwardTests(ApplicationCase):
    """``--application forward``: a party between two others."""

    needs = (SteeredService, Sipp, Kamailio, Baresip, PrivateNetwork)

    async def between(self, callee: Sipp, transport: str, listen: str) -> SteeredService:
        """A service that passes everything on to *callee*."""
        uri = f"sip:sipp@127.0.0.1:{callee.port};transport={transport}"
        return await self.service("forward", f"--forward-to={uri}", listen=f"{listen}:{ON_LOOPBACK}")

    async def test_a_call(self) -> None:
        """One SIPp calls another through the service, each over a transport of its own: it rings, is answered, is put
        on hold by the caller, hears an INFO, and the callee hangs up (row:M14, row:H4, row:H20)."""
        for near, far in (("udp", "tcp"), ("tcp", "udp")):
            there = Scenario().gets("INVITE", wants={"": "m=audio 40000", "Subject": "lunch"}).answers(180)
            there.answers(200, body=ANSWER).gets("ACK").gets("INVITE", name="hold", wants={"": "a=sendonly"})
            there.answers(200, "hold", body=HELD_ANSWER).gets("ACK")
            there.gets("INFO", wants={"": "Signal=5"}).answers(200, "INFO")
            there.asks("BYE", 1).gets(200, of="BYE")
            callee = await self.is_called(there, far)
            service = await self.between(callee, far, near)
            here = Scenario(target(service, near)).asks("INVITE", 1, body=OFFER, lines=["Subject: lunch"])
            here.gets(100, optional=True).gets(180).gets(200, wants={"": "m=audio 50000"}).asks("ACK", 1)
            here.asks("INVITE", 2, body=HELD).gets(100, optional=True).gets(200, wants={"": "a=recvonly"})
            here.asks("ACK", 2)
            here.asks("INFO", 3, lines=["Content-Type: application/dtmf-relay"], body="Signal=5\r\nDuration=160\r\n")
            here.gets(200, of="INFO").gets("BYE").answers(200, "BYE")
            caller = await self.calls(here, service, near)
            await caller.answered()
            await callee.answered()

    async def test_late_offer(self) -> None:
        """The callee's offer and the caller's answer cross the service in the 200 and the ACK (row:H22)."""
        there = Scenario().gets("INVITE", lacks=["Content-Type"]).answers(200, body=OFFER)
        callee = await self.is_called(there.gets("ACK", wants={"": "m=audio 50000"}).gets("BYE").answers(200, "BYE"))
        service = await self.between(callee, "tcp", "tcp")
        here = Scenario(target(service)).asks("INVITE", 1).gets(100, optional=True).gets(200, wants={"": "audio 40000"})
        caller = await self.calls(here.asks("ACK", 1, body=ANSWER).asks("BYE", 2).gets(200, of="BYE"), service)
        await caller.answered()
        await callee.answered()

    async def test_refused(self) -> None:
        """What the callee refuses with, phrase and header fields, reaches the caller (row:H5)."""
        there = Scenario().gets("INVITE").answers(180).answers(486, lines=["Retry-After: 30", "X-Why: lunch"])
        callee = await self.is_called(there.gets("ACK"))
        service = await self.between(callee, "tcp", "tcp")
        here = Scenario(target(service)).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180)
        here.gets(486, wants={"Retry-After": "30", "X-Why": "lunch"}).asks("ACK", 1, branch="INVITE1")
        await (await self.calls(here, service)).answered()
        await callee.answered()

    async def test_given_up(self) -> None:
        """The caller gives up while it rings, and the callee is told (row:H16)."""
        there = Scenario().gets("INVITE").answers(180).gets("CANCEL").answers(200, "CANCEL").answers(487).gets("ACK")
        callee = await self.is_called(there)
        service = await self.between(callee, "tcp", "tcp")
        here = Scenario(target(service)).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180)
        here.asks("CANCEL", 1, branch="INVITE1").gets(200, of="CANCEL").gets(487).asks("ACK", 1, branch="INVITE1")
        await (await self.calls(here, service)).answered()
        await callee.answered()

    async def test_messages(self) -> None:
        """Kamailio's MESSAGE goes through the service to Kamailio, each way over mutual TLS; one that comes back to
        the service is refused with 482 (row:M14, row:D4)."""
        port = free_port()
        ours = f"sip:back@127.0.0.1:{port};transport=tls"
        kamailio = await self.kamailio(relays={"back": ours})
        leaf = self.certificates.right("a.example")
        identity = (f"--certificate={leaf.certificate}", f"--trust={self.certificates.trust}", "--allow=localhost")
        forward = f"--forward-to=sip:127.0.0.1:{kamailio.ports['tls']};transport=tls"
        proxy = ("--trusted-proxy=localhost",)
        await self.service("forward", *identity, *proxy, forward, listen=f"tls:port={port}:interface=127.0.0.1")
        self.assertEqual(await kamailio.request("MESSAGE", ours.replace("back", "kamailio"), TEXT), 200)
        seen = await kamailio.saw("MESSAGE")
        self.assertEqual((seen.body.decode(), seen.common_name), (TEXT, "a.example"))
        self.assertEqual(await kamailio.request("MESSAGE", ours, TEXT), 482)

    async def test_two_phones(self) -> None:
        """One baresip calls another through the service; the callee hangs up, and both are free (row:M14,
        row:H20)."""
        await self.enter()
        callee = await self.phone(f"sip:nobody@{ADDRESS}")
        service = await self.service(
            "forward", f"--forward-to={callee.uri('udp')}", listen=f"udp:port=0:interface={ADDRESS}"
        )
        uri = f"sip:alice@{ADDRESS}:{service.port}"
        caller = await self.phone(uri)
        caller.dial(uri)
        await caller.program.find("Call established")
        await callee.program.find("Call established")
        start = len(caller.program.text)
        callee.hang_up()
        await caller.program.find("terminated|session closed", start=start)


class Hook(Peer):
    """The receiver among the examples, as the page says it is started."""

    def __init__(self, reactor: Any, directory: str) -> None:
        super().__init__(reactor, directory)
        self.port = free_port()
        self.secrets = os.path.join(directory, "secrets")
        self.write_files({"secrets": "whsec_bm9ib2R5IGtub3dzIHRoaXMgYnV0IHRoZSB0d28gb2YgdXM=\n"})
        os.chmod(self.secrets, 0o600)

    async def start(self) -> None:
        """Listen."""
        script = str(ROOT / "examples" / "webhook_receiver.py")
        program = self.launch(sys.executable, script, "secrets", str(self.port), environment={"PYTHONPATH": str(ROOT)})
        await program.find("the hook is")


class WebhookTests(ApplicationCase):
    """``--application webhook``: the example's receiver decides."""

    async def hooked(self, *arguments: str, listen: str = f"tcp:{ON_LOOPBACK}") -> tuple[SteeredService, Hook]:
        """A service, and the hook that it asks."""
        hook = self.peer(Hook)
        await hook.start()
        given = (f"--webhook=http://127.0.0.1:{hook.port}/", f"--webhook-secret-file={hook.secrets}")
        return await self.service("webhook", *given, *arguments, listen=listen), hook

    async def test_calls(self) -> None:
        """SIPp's call rings and is accepted as the hook says, over UDP and TCP (row:M14, row:H4)."""
        for transport in ("udp", "tcp"):
            service, hook = await self.hooked(listen=f"{transport}:{ON_LOOPBACK}")
            scenario = Scenario(target(service, transport)).asks("INVITE", 1, body=OFFER).gets(100, optional=True)
            scenario.gets(180).gets(200, wants={"": "m=audio "}).asks("ACK", 1).asks("BYE", 2).gets(200, of="BYE")
            await (await self.calls(scenario, service, transport)).answered()
            await hook.program.find("session-state disconnected")

    async def test_messages(self) -> None:
        """The hook's answer is what SIPp's MESSAGE is answered with; a dead hook is 503 (row:M14)."""
        service, hook = await self.hooked("--webhook-patience=2")
        there = ("127.0.0.1", service.port)
        await self.peer(Sipp).request("MESSAGE", target(service), there, "tcp", "hello")
        await self.peer(Sipp).request("MESSAGE", target(service), there, "tcp", "spam", 403)
        await hook.stop()
        sipp = self.peer(Sipp)
        await sipp.request("MESSAGE", target(service), there, "tcp", "hello", 503)
        self.assertRegex(sipp.messages, r"(?m)^Retry-After: \d")

    async def test_caller_gives_up(self) -> None:
        """SIPp gives up while the hook lets it ring: 487, and the hook is told (row:H16)."""
        service, hook = await self.hooked()
        scenario = Scenario(target(service)).asks("INVITE", 1, body=OFFER).gets(100, optional=True).gets(180)
        scenario.asks("CANCEL", 1, branch="INVITE1").gets(200, of="CANCEL").gets(487)
        await (await self.calls(scenario.asks("ACK", 1, branch="INVITE1"), service)).answered()
        await hook.program.find("session-state disconnected")
