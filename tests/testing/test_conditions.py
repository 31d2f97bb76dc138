"""What may be asked of a wire."""

from __future__ import annotations

from sip_p2p.testing import Conditions
from tests.support import SynchronousTestCase


class ConditionsTests(SynchronousTestCase):
    """:class:`sip_p2p.testing.Conditions`."""

    def test_perfect(self) -> None:
        """By default nothing takes time and nothing is lost."""
        conditions = Conditions()
        self.assertEqual((conditions.delay, conditions.loss, conditions.chunk_bounds), (0.0, 0.0, None))

    def test_nonsense(self) -> None:
        """A value that no wire can have is refused by name."""
        for name, value in [
            ("delay", -1),
            ("jitter", -0.1),
            ("loss", 1.5),
            ("duplicate", -0.5),
            ("reorder", 2),
            ("reorder_delay", -1),
            ("mtu", 100),
            ("chunk", 0),
            ("chunk", (5, 2)),
        ]:
            error = self.assertRaises(ValueError, Conditions, **{name: value})
            self.assertIn(f"{name}=", str(error))

    def test_unknown(self) -> None:
        """A condition that does not exist is refused."""
        self.assertRaises(TypeError, Conditions, lag=1)
