"""What every command line of ours has."""

from __future__ import annotations

import os
from typing import ClassVar

from twisted.python import usage

from sip_p2p.service.settings.command_line import CommandOptions, file_path, seconds
from tests.support import SynchronousTestCase


class Sample(CommandOptions):
    """A command."""

    optParameters: ClassVar = [["size", "s", None, "how large"], ["name", None, None, "who"]]
    repeatable: ClassVar[tuple[str, ...]] = ("name",)

    def parseArgs(self, *arguments: str) -> None:
        """Take anything."""
        self.arguments = arguments


class CommandTests(SynchronousTestCase):
    """row:M14: order, repetition and mistakes."""

    def parsed(self, *given: str) -> Sample:
        """The options of *given*."""
        options = Sample()  # type: ignore[no-untyped-call]
        options.parseOptions(given)
        return options

    def test_order(self) -> None:
        """Options stand before or after arguments, and -- ends them."""
        options = self.parsed("a", "--size", "1", "b", "--", "--size")
        self.assertEqual((options["size"], options.arguments), ("1", ("a", "b", "--size")))

    def test_repetition(self) -> None:
        """One that has one value is refused with two of them, by its long and its short name."""
        self.assertEqual(self.parsed("--size", "1", "-s", "1")["size"], "1")
        self.assertEqual(self.parsed("--name", "1", "--name", "2")["name"], "2")
        error = self.assertRaises(usage.UsageError, self.parsed, "--size", "1", "-s", "2")
        self.assertEqual(str(error), "--size is given twice: 1 and 2")

    def test_values(self) -> None:
        """Seconds are finite and within a day, files have names."""
        self.assertEqual(seconds("drain", "1.5"), 1.5)
        for wrong in ("x", "-1", "nan", "86401"):
            self.assertRaises(usage.UsageError, seconds, "drain", wrong)
        self.assertEqual(file_path("trust", "x"), os.path.abspath("x"))
        for wrong in ("", "a\0b"):
            self.assertRaises(usage.UsageError, file_path, "trust", wrong)
