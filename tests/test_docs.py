"""The documents say what is so: their code compiles, their commands have the options, their files are there."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any
from unittest import TestResult

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.trial.unittest import SynchronousTestCase

import sip_p2p
from sip_p2p import OverloadState
from sip_p2p.endpoint.session.events import SessionEvent
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingTransitionReason, reason_of_status
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.cli import SipOptions
from sip_p2p.service.settings.options import Options
from sip_p2p.testing import Network
from sip_p2p.transport.listening import descriptions
from tests.manual import ROOT, blocks, commands, documents, play

OPTION = re.compile(r"--[a-z][a-z0-9-]*")
PATH = re.compile(r"``((?:sip_p2p|tests|docs|tools|examples|benchmarks|twisted|\.ci)/[\w./-]*[\w/])``")
TARGET = re.compile(r"``make ([a-z-]+)")
PROGRESS = "PROVISIONAL_RESPONSE_RECEIVED"
"""The reason that leads on, not to the end."""


class CodeTests(SynchronousTestCase):
    """Python in documents."""

    def test_it_compiles(self) -> None:
        """Every block of Python is Python, and what it imports from sip_p2p is public."""
        for path in documents():
            for block in blocks(path, "python"):
                # A block may be the inside of a coroutine.
                tree = ast.parse(f"async def block():\n{''.join(f'    {line}' for line in block.splitlines(True))}")
                for node in ast.walk(tree):
                    if isinstance(node, ast.ImportFrom) and node.module == "sip_p2p":
                        self.assertEqual({alias.name for alias in node.names} - set(sip_p2p.__all__), set(), path.name)

    def test_the_test_of_a_program(self) -> None:
        """The tests that docs/testing.rst shows can be run as they stand, and pass."""
        names: dict[str, Any] = {}
        result = TestResult()
        for block in blocks(ROOT / "docs/testing.rst", "python"):
            exec(block, names)
        for case, test in (
            ("GreetingTests", "test_greeting"),
            ("TroubleTests", "test_loss"),
            ("TroubleTests", "test_a_dead_server"),
            ("CallTests", "test_a_call"),
            ("CallTests", "test_a_lost_connection"),
        ):
            names[case](test).run(result)
        self.assertEqual((result.testsRun, result.errors, result.failures), (5, [], []))

    def test_leases(self) -> None:
        """The program of docs/flows.rst runs, and says what it is meant to say (row:E5, row:E6, row:E16)."""
        (block,) = blocks(ROOT / "docs/flows.rst", "python")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(block, {})
        self.assertEqual(said.getvalue(), "bob has hello\nalice has hello yourself\n")

    def test_keep_alives(self) -> None:
        """The program of docs/keep_alive.rst runs, and says what it is meant to say (row:E17)."""
        (block,) = blocks(ROOT / "docs/keep_alive.rst", "python")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(block, {})
        lines = said.getvalue().splitlines()
        self.assertEqual(lines[:2], ["bob has hello", "bob has still there?"])
        self.assertIn("did not answer a keep-alive within 10 s", lines[2])


class OverloadTests(SynchronousTestCase):
    """The chapter on overload."""

    def test_snippets(self) -> None:
        """The programs of docs/overload.rst do with a manager what they say. (row:E19, row:E20, row:B15)"""
        names: dict[str, Any] = {}
        for block in blocks(ROOT / "docs/overload.rst", "python"):
            exec(block, names)
        network = Network()
        manager = network.party("sip:alice@a.example").connection_manager
        names["watch"](manager)
        names["before_maintenance"](manager)
        self.assertIs(manager.overload, OverloadState.REJECT_NEW_WORK)
        names["after_maintenance"](manager)
        self.assertIs(manager.overload, OverloadState.NORMAL)
        network.run_until(names["stop"](manager))
        self.assertTrue(manager.is_terminated)


class SessionTests(SynchronousTestCase):
    """The chapter on sessions, and what it says of them in its tables."""

    page = ROOT / "docs/sessions.rst"

    def test_the_program(self) -> None:
        """Every block runs, one after the other, and prints what stands below it. (row:H1, row:H3, row:H4)"""
        for number, (said, shown) in enumerate(play(self.page, {}), 1):
            self.assertEqual(said, shown, f"block {number}")

    def test_descriptions(self) -> None:
        """The same holds for the chapter on session descriptions. (row:K11)"""
        for number, (said, shown) in enumerate(play(ROOT / "docs/sdp.rst", {}), 1):
            self.assertEqual(said, shown, f"block {number}")

    def test_reasons(self) -> None:
        """The table of reasons names every one, and each status of a final response beside the right one. (row:H31)"""
        rows = self.rows("reason  ")
        self.assertEqual({row[0] for row in rows}, {reason.name for reason in SignalingTransitionReason} - {PROGRESS})
        named = {int(status): row[0] for row in rows for status in re.findall(r"\b[4-6]\d\d\b", row[1])}
        classes = {int(row[1].partition("other ")[2][0]): row[0] for row in rows if "other " in row[1]}
        for status in range(400, 700):
            self.assertEqual(reason_of_status(status).name, named.get(status, classes[status // 100]), status)

    def test_events(self) -> None:
        """The table of events names those that a session has, and no others."""
        events = {name for name, value in vars(SignalingSession).items() if isinstance(value, SessionEvent)}
        self.assertEqual({row[0] for row in self.rows("event of a session ")}, events)

    def rows(self, head: str) -> list[list[str]]:
        """The cells of a table, by the beginning of its head; a row goes on in lines that begin with a blank."""
        lines = self.page.read_text("utf-8").splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith(head))
        places = [found.start() for found in re.finditer("=+", lines[start + 1])]
        found: list[list[str]] = []
        for line in lines[start + 2 : lines.index(lines[start + 1], start + 2)]:
            cells = [line[a:b].strip(" `") for a, b in zip(places, [*places[1:], None], strict=True)]
            if cells[0]:
                found.append(cells)
            else:
                found[-1] = [" ".join(parts).strip() for parts in zip(found[-1], cells, strict=True)]
        return found


class TrustTests(SynchronousTestCase):
    """The chapter on trust."""

    def test_snippets(self) -> None:
        """What docs/trust.rst shows can be run as it stands, one block after the other (row:D6, row:D10, row:D13)."""
        folder = Path(self.mktemp())
        authority = CertificateAuthority.create(directory=folder / "keys")
        authority.issue("a.example").write(folder / "keys")
        before = Path.cwd()
        self.addCleanup(os.chdir, before)
        os.chdir(folder)
        names: dict[str, Any] = {"reactor": Network().host()}
        for block in blocks(ROOT / "docs/trust.rst", "python"):
            exec(block, names)
        self.assertEqual(names["dropped"], 0)
        self.assertEqual(str(names["strict"].tls_settings().usage), "strict with sipDomain")


class RenewalTests(SynchronousTestCase):
    """The chapter on renewal and revocation."""

    def test_snippets(self) -> None:
        """What docs/renewal.rst shows can be run as it stands, one block after the other. (row:D17, row:D26)"""
        folder = Path(self.mktemp())
        keys = folder / "keys"
        authority = CertificateAuthority.create(directory=keys)
        authority.issue("b.example").write(keys)
        authority.issue("lost.example").write(keys)
        authority.issue("c.example").write(keys / "names")
        (keys / "ca.crl").write_bytes(authority.revocation_list().public_bytes(Encoding.PEM))
        before = Path.cwd()
        self.addCleanup(os.chdir, before)
        os.chdir(folder)
        names: dict[str, Any] = {"reactor": Network().host()}
        for block in blocks(ROOT / "docs/renewal.rst", "python"):
            exec(block, names)
        self.assertEqual(list(names["manager"].server_certificates), ["c.example"])
        self.assertEqual(len(names["changes"]), 1)


class CommandTests(SynchronousTestCase):
    """Commands in documents."""

    def test_options_exist(self) -> None:
        """The service has every option that a command line in a document gives it."""
        known = {f"--{name.rstrip('=').replace('_', '-')}" for name in Options().longOpt}
        for path in documents():
            for words in commands(path):
                if "twistd" in words[0] and "sip-p2p" in words:
                    self.assertEqual({word for word in words if OPTION.fullmatch(word)} - known, set(), path.name)

    def test_options_of_the_command_exist(self) -> None:
        """Each command of ``sip-p2p`` has every option that a command line in a document gives it."""
        for path in documents():
            for words in commands(path):
                if words[0] == "sip-p2p" and not words[1].startswith("-"):
                    (make,) = [entry[2] for entry in SipOptions.subCommands if entry[0] == words[1]]
                    known = {f"--{name.rstrip('=').replace('_', '-')}" for name in make().longOpt}
                    self.assertEqual({word for word in words if OPTION.fullmatch(word)} - known, set(), path.name)

    def test_the_readme_has_every_command(self) -> None:
        """The README lists every command of ``sip-p2p``, and no other."""
        text = (ROOT / "README.rst").read_text("utf-8")
        listed = set(re.findall(r"^``sip-p2p (\w+)[^`]*``  ", text, re.MULTILINE))
        self.assertEqual(listed, {name for name, *_ in SipOptions.subCommands})

    def test_options_are_documented(self) -> None:
        """docs/cli.rst names every option of the service, and no other as one of its own."""
        known = {f"--{name.rstrip('=').replace('_', '-')}" for name in Options().longOpt}
        known -= {"--help", "--version", "--_shell-completion"}
        text = (ROOT / "docs/cli.rst").read_text("utf-8")
        self.assertEqual(known - set(OPTION.findall(text)), set())

    def test_descriptions_are_documented(self) -> None:
        """docs/cli.rst names every parameter of a tls: description that the module itself describes."""
        table = (descriptions.__doc__ or "").partition("what\n")[2].partition("\n\n")[0]
        keys = re.findall(r"^(\w+) {2,}", table, re.MULTILINE)
        self.assertGreater(len(keys), 6)
        text = (ROOT / "docs/cli.rst").read_text("utf-8")
        self.assertEqual([key for key in keys if f"``{key}``" not in text], [])

    def test_make_targets_exist(self) -> None:
        """Every ``make`` that a document names is in the Makefile."""
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
        for path in documents():
            self.assertEqual(set(TARGET.findall(path.read_text("utf-8"))) - targets, set(), path.name)


class PathTests(SynchronousTestCase):
    """Files in documents."""

    def test_they_are_there(self) -> None:
        """Every file and folder that a document names exists."""
        missing = [
            f"{path.name}: {name}"
            for path in documents()
            for name in PATH.findall(path.read_text("utf-8"))
            if not (ROOT / name).exists()
        ]
        self.assertEqual(missing, [])


class MapTests(SynchronousTestCase):
    """The map of the code in the README."""

    def test_main_classes(self) -> None:
        """Each main class of the map is defined below the folder of its row."""
        text = (ROOT / "README.rst").read_text("utf-8").partition("Map of the code")[2]
        rows = re.findall(r"^``(sip_p2p/?[\w./]*)``.*?(``[A-Z]\w+``(?:, ``[A-Z]\w+``)*)", text, re.MULTILINE)
        self.assertGreater(len(rows), 8)
        for folder, names in rows:
            root = ROOT / folder
            files = [root] if root.is_file() else sorted(root.rglob("*.py"))
            defined = {
                node.name
                for path in files
                for node in ast.parse(path.read_text("utf-8")).body
                if isinstance(node, ast.ClassDef)
            }
            self.assertEqual(set(re.findall(r"\w+", names)) - defined, set(), folder)
