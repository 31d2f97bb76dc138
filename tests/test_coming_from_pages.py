"""The three pages for those who come from elsewhere: their code runs, and every name of ours in them is there."""

from __future__ import annotations

import builtins
import importlib.util
import re
from pathlib import Path
from typing import Any

import twisted.internet.defer
import twisted.protocols.sip
from twisted.internet.interfaces import IReactorTime

import sip_p2p
import sip_p2p.sdp
import sip_p2p.testing
from sip_p2p import CallArguments, IncomingRequest, SignalingSession, SubscribeArguments
from sip_p2p.service.settings.options import Options
from sip_p2p.testing import Network
from tests.manual import ROOT, play
from tests.support import SynchronousTestCase

UCMA, TWISTED, PJSUA2 = (ROOT / f"docs/coming_from_{name}.rst" for name in ("ucma", "twisted_sip", "pjsua2"))
ROW = re.compile(r"\b[A-M]\d{1,2}\b")
LITERAL = re.compile(r"``([^`]+)``")


def rows(path: Path) -> list[list[str]]:
    """The rows of the simple tables of a page, without their heads; a row goes on in lines that begin with a blank."""
    found: list[list[str]] = []
    places: list[int] = []
    rules = 0
    for line in path.read_text("utf-8").splitlines():
        if re.fullmatch(r"=+(  +=+)+", line):
            rules = rules % 3 + 1
            places = [match.start() for match in re.finditer("=+", line)]
        elif rules == 2 and line:
            cells = [line[a:b].strip() for a, b in zip(places, [*places[1:], None], strict=True)]
            if cells[0]:
                found.append(cells)
            else:
                found[-1] = [" ".join(parts).strip() for parts in zip(found[-1], cells, strict=True)]
    return found


class ProgramTests(SynchronousTestCase):
    """The code of the pages."""

    def test_it_runs(self) -> None:
        """Every block runs, one after the other, and prints what stands below it."""
        for path in (UCMA, TWISTED, PJSUA2):
            played = play(path, {})
            self.assertGreater(len(played), 0, path.name)
            for number, (said, shown) in enumerate(played, 1):
                self.assertEqual(said, shown, f"{path.name}, block {number}")


class NameTests(SynchronousTestCase):
    """The names in the tables."""

    def setUp(self) -> None:
        """Two parties and a session, for the attributes that only objects have."""
        super().setUp()
        network = Network()
        endpoint = network.party("sip:alice@a.example")
        bob = network.party("sip:bob@b.example")
        sessions: list[SignalingSession] = []
        bob.session_received.subscribe(sessions.append)
        session = endpoint.create_session("sip:bob@b.example")
        self.addCleanup(network.finish)
        self.objects: dict[str, object] = {
            "endpoint": endpoint,
            "manager": endpoint.connection_manager,
            "session": session,
            "event": IncomingRequest,
            "error": sip_p2p.InvalidOperation,
            "network": network,
            "reactor": IReactorTime,
        }
        self.modules = (sip_p2p, sip_p2p.testing, sip_p2p.sdp, twisted.internet.defer, builtins)
        arguments = {*CallArguments.__annotations__, *SubscribeArguments.__annotations__}
        for function in (
            sip_p2p.SipPeerToPeerEndpoint.__init__,
            sip_p2p.RealTimeServerTlsConnectionManager.__init__,
            sip_p2p.SipPeerToPeerEndpoint.request,
            SignalingSession.terminate,
            SignalingSession.ring,
        ):
            arguments.update(function.__code__.co_varnames)
        self.arguments = arguments
        self.options = {f"--{name.rstrip('=').replace('_', '-')}" for name in Options().longOpt}

    def is_there(self, name: str) -> bool:
        """Whether a literal of a table names something that there is; what looks like no name of ours passes."""
        if option := re.match(r"--[a-z-]+", name):
            return option[0] in self.options
        if argument := re.match(r"(\w+)=", name):
            return argument[1] in self.arguments
        if name.startswith(("sip_p2p.", "twisted.")):
            return importlib.util.find_spec(name) is not None
        if dotted := re.fullmatch(r"(\w+)\.(\w+)(\(.*\))?", name):
            owner = self.objects.get(dotted[1]) or self.public(dotted[1])
            if owner is IReactorTime:
                return dotted[2] in IReactorTime
            # What only instances have stands in the docstring of their class.
            return hasattr(owner, dotted[2]) or f":ivar {dotted[2]}:" in (getattr(owner, "__doc__", "") or "")
        if re.fullmatch(r"[A-Z]\w+(\(.*\))?", name) and not name.isupper():
            return self.public(name.partition("(")[0]) is not None
        return True

    def public(self, name: str) -> Any:
        """A public name of ours, or of what we build upon."""
        return next((getattr(module, name) for module in self.modules if hasattr(module, name)), None)

    def test_they_are_there(self) -> None:
        """Every class, method, argument and option that the column ``here`` names exists."""
        for path in (UCMA, TWISTED, PJSUA2):
            found = rows(path)
            self.assertGreater(len(found), 15, path.name)
            wrong = [name for row in found for name in LITERAL.findall(row[1]) if not self.is_there(name)]
            self.assertEqual(wrong, [], path.name)

    def test_names_of_twisted(self) -> None:
        """What the page says of ``twisted.protocols.sip`` is there, by the name that it has there."""
        literals = " ".join(name for row in rows(TWISTED) for name in LITERAL.findall(row[0]))
        names = set(re.findall(r"[A-Za-z]\w+(?:\.\w+)?", literals))
        self.assertGreater(len(names), 15)
        for name in names:
            owner, _, attribute = name.partition(".")
            found = getattr(twisted.protocols.sip, owner, None)
            self.assertIsNotNone(found, name)
            made = twisted.protocols.sip.Message() if owner == "Message" else found
            self.assertTrue(not attribute or hasattr(made, attribute), name)


class WholeTests(SynchronousTestCase):
    """The page on UCMA."""

    def test_every_row(self) -> None:
        """It says of every row of the acceptance table where that is, what behaves better, or that it is not there."""
        known = set(
            re.findall(r"^   \* - ([A-M]\d+)$", (ROOT / "docs/acceptance.rst").read_text("utf-8"), re.MULTILINE)
        )
        named = set(ROW.findall(UCMA.read_text("utf-8")))
        self.assertEqual((known - named, named - known), (set(), set()))

    def test_later_parts(self) -> None:
        """What stands there as not there yet is what no test shows."""
        text = (ROOT / "docs/acceptance.rst").read_text("utf-8")
        later = set(re.findall(r"^   \* - ([A-M]\d+)\n     - .*\n     - a later part$", text, re.MULTILINE))
        missing = UCMA.read_text("utf-8").partition("\nWhat is not there\n")[2]
        self.assertEqual(later - set(ROW.findall(missing)), set())
