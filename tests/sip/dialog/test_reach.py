"""What a failed request takes with it, status by status (RFC 5057 section 5)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.effects import Ending
from sip_p2p.sip.dialog.reach import Reach, reach_of
from sip_p2p.sip.status import Status
from tests.sip.dialog.one_usage import OneUsage

_REQUEST = Reach.REQUEST
_SILENCE = Reach.SILENCE
_USAGE = Reach.USAGE
_DIALOG = Reach.DIALOG

TABLE: dict[int, Reach] = {
    **dict.fromkeys((300, 301, 302, 305, 380), _REQUEST),
    **dict.fromkeys((400, 401, 402, 403, 405, 406, 407, 412, 413, 414, 415, 417, 420, 421, 422, 423), _REQUEST),
    **dict.fromkeys((424, 425, 428, 429, 430, 433, 436, 437, 438, 439, 440, 469, 470), _REQUEST),
    **dict.fromkeys((486, 487, 488, 489, 491, 493, 494), _REQUEST),
    **dict.fromkeys((500, 501, 503, 504, 505, 513, 555, 580, 600, 603, 606, 607, 608), _REQUEST),
    **dict.fromkeys((404, 410, 416, 482, 484, 485, 502, 604), _DIALOG),
    **dict.fromkeys((408, 483), _SILENCE),
    **dict.fromkeys((480, 481), _USAGE),
}
"""Every registered final status that is no 2xx, for a request such as INFO."""


class ReachTests(SynchronousTestCase):
    """The table, and what it does to a session."""

    def test_every_status(self) -> None:
        """Each registered failure reaches as far as RFC 5057 section 5 says: row:H36."""
        self.assertEqual({status: reach_of(status, "INFO") for status in TABLE}, TABLE)
        self.assertEqual(set(TABLE), {int(status) for status in Status if status >= 300})

    def test_unregistered(self) -> None:
        """A status that nobody has registered complains about its request alone, as x00 does."""
        for status in (399, 499, 599, 699):
            self.assertIs(reach_of(status, "UPDATE"), _REQUEST)

    def test_methods(self) -> None:
        """What depends on the method: REFER's 404 is of its target, PRACK's 481 of a response, INVITE's 405 of all."""
        self.assertIs(reach_of(404, "REFER"), _REQUEST)
        self.assertIs(reach_of(484, "REFER"), _REQUEST)
        self.assertIs(reach_of(410, "REFER"), _DIALOG)
        self.assertIs(reach_of(481, "PRACK"), _REQUEST)
        self.assertIs(reach_of(405, "INVITE"), _USAGE)
        self.assertIs(reach_of(405, "UPDATE"), _REQUEST)
        for method in ("NOTIFY", "SUBSCRIBE"):
            # What they end is the subscription, not the session beside it.
            self.assertEqual([reach_of(status, method) for status in (408, 480, 481, 483)], [_REQUEST] * 4)
            self.assertIs(reach_of(404, method), _DIALOG)

    def test_in_a_session(self) -> None:
        """The answer to a request of the application's ends the session, or does not, as the table says: row:H36."""
        for status, reach in TABLE.items():
            one = OneUsage("confirmed")
            one.give("request")
            one.respond(status)
            endings = {_REQUEST: None, _SILENCE: Ending.NO_RESPONSE, _USAGE: Ending.DIALOG_GONE}
            self.assertIs(one.usage.ending, endings.get(reach, Ending.DIALOG_GONE), status)
            self.assertEqual(one.party.heard[0], f"request ended {status}")

    def test_another_usage(self) -> None:
        """A 481 ends the usage of INVITE; the dialog lives on for whatever else it is used for: row:H36."""
        one = OneUsage("confirmed")
        dialog = one.usage.dialog
        one.party.core.dialogs.add(dialog, "subscribe")
        one.give("request")
        one.respond(481)
        self.assertEqual(one.party.heard, ["request ended 481", "usage ended DIALOG_GONE"])
        self.assertIn(dialog, one.party.core.dialogs)
        self.assertEqual(dialog.usages, ("subscribe",))
