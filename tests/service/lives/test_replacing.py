"""Who may take over a session, as ``--replaces`` says."""

from __future__ import annotations

from typing import Any, cast

from sip_p2p.errors import MalformedMessage
from sip_p2p.service.lives.replacing import ReplacesRule
from sip_p2p.sip.uri import SipUri
from tests.support import SynchronousTestCase


class _Peer:
    def __init__(self, is_proved: bool) -> None:
        self._is_proved = is_proved

    def proves(self, uri: object) -> bool:
        """As the test says."""
        return self._is_proved


class _Invite:
    @property
    def from_(self) -> Any:
        """Carol's."""

        class Field:
            uri = SipUri.parse("sip:carol@c.example")

        return Field


class _Unreadable:
    @property
    def from_(self) -> Any:
        """Nobody's."""
        raise MalformedMessage("From cannot be read")


class _Replacement:
    def __init__(self, *, is_same_party: bool = False, is_proved: bool = True, invite: Any = None) -> None:
        self.is_same_party = is_same_party
        self.peer = _Peer(is_proved)
        self.invite = invite or _Invite()


def _may(given: list[str], **facts: Any) -> bool:
    return ReplacesRule(given)(cast("Any", _Replacement(**facts)))


class RuleTests(SynchronousTestCase):
    """The rule as a value."""

    def test_table(self) -> None:
        """fault:D5: nobody but the same party, unless a word or a proved name says so."""
        for given, is_proved, expected in (
            (["same"], True, False),
            (["verified"], True, True),
            (["verified"], False, False),
            (["c.example"], True, True),
            (["c.example"], False, False),
            (["carol@c.example"], True, True),
            (["d.example"], True, False),
        ):
            self.assertIs(_may(given, is_proved=is_proved), expected, given)
            self.assertTrue(_may(given, is_same_party=True))
        self.assertFalse(_may(["off"], is_same_party=True))

    def test_unreadable(self) -> None:
        """Whose From cannot be read has proved nothing."""
        self.assertFalse(_may(["verified"], invite=_Unreadable()))
