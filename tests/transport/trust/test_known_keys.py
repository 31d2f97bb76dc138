"""The file of known keys: read, appended to, shared, spoilt, and full."""

from __future__ import annotations

import fcntl
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

from sip_p2p.transport.trust.known_keys import KeyStoreFull, KnownKeys
from sip_p2p.transport.trust.pins import pin_of
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import authority

ONE, TWO = (pin_of(authority().issue("b.example").certificate) for _ in range(2))


class StoreTestCase(SynchronousTestCase):
    """Has a folder for the file."""

    def setUp(self) -> None:
        """The folder, and no file yet."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "known_keys"

    def keys(self, limit: int = 100) -> KnownKeys:
        """The store."""
        return KnownKeys(self.path, limit)

    def pin(self, keys: KnownKeys, name: str) -> str | None:
        """What is kept for *name*."""
        known = keys.get(name)
        return None if known is None else known.pin

    def write(self, text: str, mode: int = 0o600) -> None:
        """Write the file as somebody else would."""
        self.path.write_text(text)
        self.path.chmod(mode)


class FileTests(StoreTestCase):
    """What stands in the file."""

    def test_a_line_a_name(self) -> None:
        """Each key becomes one line for people to read, in a file that is its owner's alone."""
        keys = self.keys()
        self.assertEqual((len(keys), self.path.exists()), (0, False))
        self.assertEqual(keys.add("b.example", ONE, "dialled").line, 1)
        self.assertEqual(keys.add("2001:db8::1", TWO, "incoming").line, 2)
        lines = self.path.read_text().splitlines()
        self.assertEqual([line.split()[:2] for line in lines], [["b.example", ONE], ["2001:db8::1", TWO]])
        self.assertRegex(lines[0], r" \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ dialled$")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        again = self.keys()
        self.assertEqual((self.pin(again, "b.example"), self.pin(again, "2001:db8::1"), len(again)), (ONE, TWO, 2))

    def test_edited_by_people(self) -> None:
        """Comments, blank lines, capitals and a missing line end are all right."""
        self.write(f"# peers\n\n  B.Example {ONE}\nc.example {TWO} since spring")
        keys = self.keys()
        self.assertEqual((self.pin(keys, "b.example"), self.pin(keys, "c.example")), (ONE, TWO))
        self.assertEqual(keys.add("d.example", ONE, "dialled").line, 5)
        self.assertEqual(self.pin(self.keys(), "c.example"), TWO)
        self.assertEqual(self.pin(self.keys(), "d.example"), ONE)

    def test_spoilt(self) -> None:
        """A line that cannot be read, or a name with two keys, is an error with the line's number."""
        good = f"b.example {ONE}\n"
        for text, line in (
            (good + "c.example\n", 2),
            (good + good[:-9] + "\n", 2),
            (good + f"*.example {ONE}\n", 2),
            (good + "\n" + f"b.example {TWO}\n", 3),
            (good + f"c.ex\0mple {ONE}\n", 2),
            (good + "c.example sha1/x\n", 2),
            (good + "bücher.example x\n", 2),
        ):
            self.write(text)
            with self.assertRaisesRegex(ValueError, f"known_keys, line {line}: .*correct the line"):
                self.keys()

    def test_not_ours_to_trust(self) -> None:
        """A file that others can write, and what is no file, are refused with the remedy."""
        for mode in (0o620, 0o602, 0o666):
            self.write(f"b.example {ONE}\n", mode)
            with self.assertRaisesRegex(ValueError, "chmod 600"):
                self.keys()
        self.path.unlink()
        self.path.mkdir()
        with self.assertRaisesRegex(ValueError, "is not a file"):
            self.keys()
        with self.assertRaisesRegex(ValueError, "there is no folder"):
            KnownKeys(self.folder / "none" / "known_keys", 1)

    def test_changed_while_we_run(self) -> None:
        """An edited file is read when it is asked for; a spoilt one, or one that is gone, is no reason to forget."""
        keys = self.keys()
        keys.add("b.example", ONE, "dialled")
        self.assertFalse(keys.read_if_changed())
        self.write(f"b.example {TWO}\nc.example {ONE}\n")
        self.assertTrue(keys.read_if_changed())
        self.assertEqual((self.pin(keys, "b.example"), len(keys)), (TWO, 2))
        self.write("nonsense\n")
        with self.assertRaises(ValueError):
            keys.read_if_changed()
        self.assertEqual(len(keys), 2)
        self.path.unlink()
        self.assertFalse(keys.read_if_changed())
        with self.assertRaisesRegex(ValueError, "has vanished"):
            keys.read()
        with self.assertRaises(FileNotFoundError):
            keys.add("d.example", ONE, "dialled")
        self.assertEqual((self.pin(keys, "b.example"), len(keys), self.path.exists()), (TWO, 2, False))


class BoundTests(StoreTestCase):
    """No room, no disk, and no lock."""

    def test_limit(self) -> None:
        """One name more than the limit is refused; names that are known stay known. fault:F6"""
        keys = self.keys(limit=2)
        keys.add("a.example", ONE, "dialled")
        keys.add("b.example", ONE, "dialled")
        with self.assertRaises(KeyStoreFull):
            keys.add("c.example", ONE, "dialled")
        self.assertEqual(keys.add("b.example", TWO, "dialled").pin, ONE)
        self.assertEqual(len(self.path.read_text().splitlines()), 2)

    def test_full_disk(self) -> None:
        """What could not be written whole is taken back, and is not known; room again, it works again."""
        keys = self.keys()
        keys.add("a.example", ONE, "dialled")
        before = self.path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        for room in (0, 20):
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, hard))
            try:
                with self.assertRaises(OSError):
                    keys.add("b.example", ONE, "dialled")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            self.assertEqual((self.path.read_bytes(), keys.get("b.example")), (before, None))
        keys.add("b.example", TWO, "dialled")
        self.assertEqual(self.pin(self.keys(), "b.example"), TWO)

    def test_locked(self) -> None:
        """Whoever holds the lock for long does not stop us: the new key is refused."""
        keys = self.keys()
        keys.add("a.example", ONE, "dialled")
        holder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(holder, fcntl.LOCK_EX)
            with self.assertRaises(BlockingIOError):
                keys.add("b.example", ONE, "dialled")
        finally:
            os.close(holder)
        self.assertIsNone(keys.get("b.example"))
        self.assertEqual(keys.add("b.example", ONE, "dialled").pin, ONE)


class SharedTests(StoreTestCase):
    """Two processes and one file."""

    def test_the_first_one_wins(self) -> None:
        """What another has appended meanwhile is seen before anything is appended."""
        one, two = self.keys(), self.keys()
        one.add("b.example", ONE, "dialled")
        known = two.add("b.example", TWO, "dialled")
        self.assertEqual((known.pin, known.line), (ONE, 1))
        two.add("c.example", TWO, "dialled")
        self.assertEqual(one.add("c.example", ONE, "dialled").pin, TWO)
        self.assertEqual(len(self.path.read_text().splitlines()), 2)

    def test_replaced_by_another(self) -> None:
        """A file that was put in the place of ours is what counts."""
        keys = self.keys()
        keys.add("b.example", ONE, "dialled")
        fresh = self.folder / "fresh"
        fresh.write_text(f"c.example {TWO}\n")
        fresh.chmod(0o600)
        fresh.replace(self.path)
        self.assertEqual(keys.add("b.example", TWO, "dialled").line, 2)
        self.assertEqual(self.pin(keys, "c.example"), TWO)

    def test_spoilt_by_another(self) -> None:
        """Nothing is appended to a file that cannot be read any more."""
        keys = self.keys()
        keys.add("b.example", ONE, "dialled")
        self.write("nonsense\n")
        with self.assertRaisesRegex(ValueError, "line 1"):
            keys.add("c.example", TWO, "dialled")
        self.assertEqual(self.path.read_text(), "nonsense\n")

    def test_two_processes(self) -> None:
        """Two processes that learn the same names at once leave one line for each, whole, and agree on it."""
        script = (
            "import sys, base64\n"
            "from sip_p2p.transport.trust.known_keys import KnownKeys\n"
            "keys, mine = KnownKeys(sys.argv[1], 1000), base64.b64encode(sys.argv[2].encode() * 32).decode()\n"
            "def add(name):\n"
            "    while True:\n"
            "        try:\n"
            "            return keys.add(name, 'sha256/' + mine, sys.argv[2])\n"
            "        except BlockingIOError:\n"
            "            pass\n"
            "print(sum(add(f'p{n}.example').pin == 'sha256/' + mine for n in range(100)))\n"
        )
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", script, str(self.path), who], stdout=subprocess.PIPE, text=True, cwd=_ROOT
            )
            for who in "ab"
        ]
        won = 0
        for process in processes:
            with process:
                won += int(process.communicate(timeout=60)[0])
        lines = self.path.read_text().splitlines()
        self.assertEqual((won, len(lines), len({line.split()[0] for line in lines})), (100, 100, 100))
        self.assertEqual(len(self.keys()), 100)


_ROOT = Path(__file__).resolve().parents[3]
