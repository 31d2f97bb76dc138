"""docs/registration.rst is a program that runs, and its tables name what there is."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p import RegisterArguments, Registration
from tests.manual import ROOT, play

PAGE = ROOT / "docs/registration.rst"


class RegistrationPageTests(SynchronousTestCase):
    """The chapter on registration."""

    def test_the_program(self) -> None:
        """Every block runs, one after the other, and prints what stands below it."""
        for number, (said, shown) in enumerate(play(PAGE, {}), 1):
            self.assertEqual(said, shown, f"block {number}")

    def test_arguments(self) -> None:
        """The table of arguments has all of them."""
        named = set(re.findall(r"^``([a-z_]+)``  ", PAGE.read_text("utf-8"), re.MULTILINE))
        self.assertLessEqual({"registrar", "expires", *RegisterArguments.__annotations__}, named)

    def test_attributes(self) -> None:
        """The table of what is granted names what a registration has."""
        text = PAGE.read_text("utf-8").partition("What the server grants")[2].partition("When a connection")[0]
        for name in re.findall(r"^``([a-z_]+)``", text, re.MULTILINE):
            if name != "registration":
                self.assertTrue(hasattr(Registration, name), name)
