"""The base of all applications."""

from __future__ import annotations

from sip_p2p.service.applications import Application
from tests.support import SynchronousTestCase


class BaseTests(SynchronousTestCase):
    """:class:`Application` by itself."""

    def test_everything_may_be_left_out(self) -> None:
        """A class without methods accepts messages and answers other requests with 501."""
        application = Application()
        self.assertIsNone(application.message(None))  # type: ignore[arg-type]
        self.assertIsNone(application.session(None))  # type: ignore[arg-type]
        self.assertEqual(application.request(None), 501)  # type: ignore[arg-type]
        self.assertIsNone(application.stopped())
        self.assertEqual(application.reload(), [])
