"""The public names: that they are there, documented, typed, and that failures keep where they came from."""

from __future__ import annotations

import ast
import enum
import inspect
import re
import traceback
import typing
from pathlib import Path

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

import sip_p2p
from sip_p2p.testing import Network

ROOT = Path(sip_p2p.__file__).parent


def public_classes() -> dict[str, type]:
    """Every public name that is a class."""
    found = {name: getattr(sip_p2p, name) for name in sip_p2p.__all__}
    return {name: value for name, value in found.items() if inspect.isclass(value)}


def own_members(class_: type) -> dict[str, object]:
    """The public methods and properties that our own classes in the ancestry of *class_* define."""
    members: dict[str, object] = {}
    for base in reversed(class_.__mro__):
        if base.__module__.split(".")[0] == "sip_p2p":
            members |= {name: value for name, value in vars(base).items() if not name.startswith("_")}
    return members


def function_of(member: object) -> typing.Any:
    """The function behind a method, property, class method or static method; None for anything else."""
    if isinstance(member, property):
        return member.fget
    if isinstance(member, classmethod | staticmethod):
        return member.__func__
    return member if inspect.isfunction(member) else None


class NameTests(SynchronousTestCase):
    """sip_p2p.__all__ and what stands behind it."""

    def test_every_name_is_there(self) -> None:
        """Each public name can be imported, and dir() lists them."""
        for name in sip_p2p.__all__:
            self.assertIsNotNone(getattr(sip_p2p, name))
        self.assertEqual(dir(sip_p2p), sorted(sip_p2p.__all__))

    def test_unknown_name(self) -> None:
        """A name that does not exist is an AttributeError that says so."""
        error = self.assertRaises(AttributeError, getattr, sip_p2p, "SipPeerToPeerEndpont")
        self.assertEqual((error.name, error.obj), ("SipPeerToPeerEndpont", sip_p2p))
        self.assertIn("SipPeerToPeerEndpont", str(error))

    def test_type_checkers_see_the_same(self) -> None:
        """What is imported for type checkers is what is imported when asked for."""
        tree = ast.parse((ROOT / "__init__.py").read_text("utf-8"))
        typed = {
            alias.name: node.module
            for block in tree.body
            if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
            for node in block.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        self.assertEqual(typed, sip_p2p._HOMES)

    def test_reference(self) -> None:
        """Each public name stands on a page of the reference, by itself or with all of its module."""
        pages = "".join(path.read_text("utf-8") for path in (ROOT.parent / "docs/reference").glob("*.rst"))
        whole = set(re.findall(r"automodule:: (\S+)", pages))
        single = set(re.findall(r"auto(?:class|function):: sip_p2p\.(\w+)$", pages, re.MULTILINE))
        homes = dict.fromkeys(vars(sip_p2p.errors), "sip_p2p.errors") | sip_p2p._HOMES
        missing = {name for name in sip_p2p.__all__ if name not in single and homes.get(name) not in whole}
        self.assertEqual(missing, {"__version__"})


class DocumentedTests(SynchronousTestCase):
    """What a reader of help() finds."""

    def test_classes(self) -> None:
        """Every public class has a docstring of its own."""
        silent = [name for name, class_ in public_classes().items() if not (vars(class_).get("__doc__") or "").strip()]
        self.assertEqual(silent, [])

    def test_members(self) -> None:
        """Every public method and property of a public class has a docstring."""
        silent = [
            f"{name}.{member_name}"
            for name, class_ in public_classes().items()
            if not issubclass(class_, enum.Enum)
            for member_name, member in own_members(class_).items()
            if function_of(member) is not None and not (function_of(member).__doc__ or "").strip()
        ]
        self.assertEqual(silent, [])


class TypedTests(SynchronousTestCase):
    """What a type checker finds."""

    def test_marker(self) -> None:
        """The package says that it is typed (row:M17)."""
        self.assertTrue((ROOT / "py.typed").exists())

    def test_every_parameter_is_annotated(self) -> None:
        """Every public method of a public class has types for all that it takes and gives (row:M17)."""
        untyped = []
        for name, class_ in public_classes().items():
            for member_name, member in own_members(class_).items():
                function = function_of(member)
                if function is None or not function.__module__.startswith("sip_p2p"):
                    continue
                signature = inspect.signature(function)
                missing = [each for each in signature.parameters.values() if each.annotation is inspect.Parameter.empty]
                if [each for each in missing if each.name not in ("self", "cls")]:
                    untyped.append(f"{name}.{member_name}: a parameter")
                if signature.return_annotation is inspect.Signature.empty:
                    untyped.append(f"{name}.{member_name}: the result")
        self.assertEqual(untyped, [])


class FailureTests(SynchronousTestCase):
    """What a failed operation tells about itself."""

    def setUp(self) -> None:
        """A party in a network where nobody else is."""
        self.network = Network()
        self.host = self.network.host("10.0.0.1", names=["a.example"])
        self.network.host("10.0.0.2", names=["b.example"])
        self.manager = sip_p2p.RealTimeServerTcpConnectionManager(self.host)
        self.alice = sip_p2p.SipPeerToPeerEndpoint("sip:alice@a.example", self.manager)
        self.addCleanup(self.close)

    def close(self) -> None:
        """End the party; nothing may stay behind."""
        self.network.run_until(self.manager.terminate())
        self.network.assert_quiet()

    def test_it_keeps_its_cause(self) -> None:
        """A failed operation keeps the error that it comes from (row:M2)."""
        sending = self.alice.send_message("sip:bob@b.example", "hello")
        failures: list[typing.Any] = []
        sending.addErrback(failures.append)
        self.network.settle()
        self.network.advance(1)
        (failure,) = failures
        self.assertIsInstance(failure.value, sip_p2p.ConnectionFailure)
        self.assertIsInstance(failure.value.__cause__, ConnectionRefusedError)

    def test_awaiting_shows_the_way(self) -> None:
        """Where a coroutine awaits, the traceback leads through it to the failure (row:M2)."""

        async def program_of_a_user() -> None:
            await self.alice.send_message("sip:bob@b.example", "hello")

        try:
            self.network.run_until(program_of_a_user())
        except sip_p2p.ConnectionFailure as error:
            names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
            self.assertIn("program_of_a_user", names)
        else:
            self.fail("nobody was there to answer")

    def test_cancelling_is_no_failure_of_ours(self) -> None:
        """Whoever cancels gets Twisted's own CancelledError, not one of the tree (row:M5)."""
        sending = self.alice.send_message("sip:bob@b.example", "hello")
        sending.cancel()
        self.failureResultOf(sending, CancelledError)
