"""What the service keeps between two runs."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

from sip_p2p.service.process.state import INSTANCE_FILE, instance_id
from tests.support import SynchronousTestCase


class InstanceTests(SynchronousTestCase):
    """row:A9: the instance id survives a restart."""

    def test_it_is_made_once(self) -> None:
        """row:A9: the first call makes a urn:uuid, later ones give the same, and the file is its owner's alone."""
        folder = Path(self.mktemp()) / "deep"
        first = instance_id(folder)
        self.assertEqual(uuid.UUID(first).version, 4)
        self.assertTrue(first.startswith("urn:uuid:"))
        self.assertEqual(instance_id(folder), first)
        self.assertEqual(stat.S_IMODE((folder / INSTANCE_FILE).stat().st_mode), 0o600)
        self.assertEqual(os.listdir(folder), [INSTANCE_FILE])

    def test_folders_are_instances(self) -> None:
        """row:A9: another folder is another instance."""
        self.assertNotEqual(instance_id(self.mktemp()), instance_id(self.mktemp()))

    def test_something_else_in_the_file(self) -> None:
        """A damaged file is named with the remedy, and left as it is."""
        for content in (b"", b"urn:uuid:nonsense", b"\xff" * 1000, b"urn:uuid:" + b"0" * 36):
            folder = Path(self.mktemp())
            folder.mkdir()
            (folder / INSTANCE_FILE).write_bytes(content)
            error = self.assertRaises(ValueError, instance_id, folder)
            self.assertIn("remove it", str(error))
            self.assertEqual((folder / INSTANCE_FILE).read_bytes(), content)

    def test_a_folder_that_is_none(self) -> None:
        """A file in the folder's place is an error of the operating system."""
        path = Path(self.mktemp())
        path.write_bytes(b"")
        with self.assertRaises(OSError):
            instance_id(path)
