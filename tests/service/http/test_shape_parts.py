"""The pieces of the shapes."""

from __future__ import annotations

from sip_p2p.service.http.shape_parts import number, parameter_text, shape, text
from tests.support import SynchronousTestCase


class PartTests(SynchronousTestCase):
    """The pieces as values."""

    def test_shape(self) -> None:
        """An object names what it must have, and may take nothing else."""
        made = shape("a", {"a": text("words", most=3, least=1)}, "It.", is_closed=True)
        self.assertEqual((made["required"], made["additionalProperties"], made["description"]), (["a"], False, "It."))
        self.assertNotIn("required", shape("", {}))

    def test_parameters(self) -> None:
        """The bounds of a parameter are in it."""
        self.assertEqual((number(1, 2)["maximum"], parameter_text(5)["maxLength"]), (2, 5))
