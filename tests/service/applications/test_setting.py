"""What an application of ours is made with."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.service.applications.setting import ApplicationSetting
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.json_lines import JsonLines
from sip_p2p.service.settings.options import Options


class ApplicationSettingTests(SynchronousTestCase):
    """:class:`ApplicationSetting`."""

    def test_it_holds_what_it_is_given(self) -> None:
        """Each thing is found under its name."""
        happenings, lines, options, clock = Happenings(), JsonLines([].append), Options(), Clock()
        setting = ApplicationSetting(happenings, lines, options, clock)
        self.assertEqual(
            (setting.happenings, setting.lines, setting.options, setting.reactor), (happenings, lines, options, clock)
        )
