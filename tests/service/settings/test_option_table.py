"""Options as values."""

from __future__ import annotations

from typing import ClassVar

from sip_p2p.service.cli import SipOptions
from sip_p2p.service.settings.command_line import CommandOptions
from sip_p2p.service.settings.option_table import Option, OptionKind, option_table
from sip_p2p.service.settings.options import Options
from tests.support import SynchronousTestCase


class _Base(CommandOptions):
    """What a base has."""

    optParameters: ClassVar = [["depth", "d", "3", "how many levels"], ["where", None, None, "folder for all of it"]]
    repeatable: ClassVar[tuple[str, ...]] = ("name",)

    def opt_name(self, name: str) -> None:
        """NAME=VALUE: something; may be given
        several times"""

    opt_n = opt_name


class _Derived(_Base):
    """What is added."""

    optFlags: ClassVar = [["quiet", "q", "say nothing"], ["now", None, "at once"]]
    for_command_line: ClassVar[tuple[str, ...]] = ("now",)

    def opt_show_all(self) -> None:
        """show everything"""


class OptionTableTests(SynchronousTestCase):
    """What the classes say is what the table says."""

    def options(self) -> dict[str, Option]:
        """The table of the class above."""
        return {option.name: option for option in option_table(_Derived)}

    def test_kinds(self) -> None:
        """Parameters, flags, options that may be repeated, and actions are told apart, whoever defines them."""
        kinds = {name: option.kind for name, option in self.options().items()}
        self.assertEqual(
            kinds,
            {
                "depth": OptionKind.VALUE,
                "where": OptionKind.VALUE,
                "name": OptionKind.LIST,
                "quiet": OptionKind.FLAG,
                "now": OptionKind.FLAG,
                "show-all": OptionKind.ACTION,
                "help": OptionKind.ACTION,
                "version": OptionKind.ACTION,
            },
        )

    def test_words(self) -> None:
        """Letter, usual value, text, group, variable and placeholder of an option are those of its class."""
        options = self.options()
        depth, name = options["depth"], options["name"]
        self.assertEqual((depth.short, depth.default, depth.text, depth.group), ("d", "3", "how many levels", _Base))
        self.assertEqual((depth.variable, depth.placeholder), ("SIP_P2P_DEPTH", "NUMBER"))
        self.assertEqual((name.short, name.default, name.placeholder), ("n", None, "NAME=VALUE"))
        self.assertEqual(name.text, "NAME=VALUE: something; may be given several times")
        self.assertEqual((options["where"].placeholder, options["quiet"].placeholder), ("DIR", ""))
        self.assertEqual(options["show-all"].variable, "SIP_P2P_SHOW_ALL")
        self.assertIn("depth", repr(depth))

    def test_what_a_file_cannot_hold(self) -> None:
        """Actions, and what a class names, are for the command line alone."""
        only = {name for name, option in self.options().items() if option.is_for_command_line}
        self.assertEqual(only, {"show-all", "now", "help", "version"})

    def test_every_option_of_ours(self) -> None:
        """Each option of the service and of the commands stands in the table once, with a text."""
        for kind in (Options, *(command[2].kind for command in SipOptions.subCommands)):
            table = option_table(kind)
            names = [option.name for option in table]
            known = {name.rstrip("=") for name in kind().longOpt}
            self.assertEqual((sorted(names), len(names)), (sorted(known), len(known)), kind)
            self.assertEqual([option for option in table if not option.text], [], kind)
