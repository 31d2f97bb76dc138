"""Calls from another thread than the reactor's."""

from __future__ import annotations

import threading

from twisted.python import threadable

from sip_p2p import InvalidOperation
from sip_p2p.endpoint.thread import check_thread
from tests.support import SynchronousTestCase


class ThreadTests(SynchronousTestCase):
    """Whose thread it is."""

    def test_threads(self) -> None:
        """The reactor's own thread may call; another one is told how to (fault:K7)."""
        self.patch(threadable, "ioThread", threading.get_ident())
        check_thread()
        self.patch(threadable, "ioThread", threading.get_ident() + 1)
        error = self.assertRaises(InvalidOperation, check_thread)
        self.assertIn("callFromThread", str(error))

    def test_no_reactor_yet(self) -> None:
        """Before a reactor runs there is nobody to be confused with."""
        self.patch(threadable, "ioThread", None)
        check_thread()
