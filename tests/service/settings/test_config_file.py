"""What stands in a file, and in which line."""

from __future__ import annotations

from pathlib import Path

from twisted.python import usage

from sip_p2p.service.settings.config_file import FILE_OCTETS, parse_file, read_file
from tests.support import SynchronousTestCase


class PlaceTests(SynchronousTestCase):
    """Every key has its line."""

    def lines(self, text: str) -> list[tuple[str, object, int]]:
        """Each key of *text*, its value and its line."""
        return [(entry.name, entry.value, entry.line) for entry in parse_file(text, "f") if entry.value != {}]

    def test_lines(self) -> None:
        """row:M14: keys are found in their lines, behind comments, over several lines, in tables and with dots."""
        text = (
            '# first\n\na = 1 # one\nb = [\n  "x",  # ] and "\n  "y]",\n]\nc = """\nd = 5\n"""\n"e f" = true\n'
            "g.h = 2\ni = {j = 3, k = 4}\r\n\n[limits]\nl = 5\n'm.n' = 6\n\n[limits.message]\no = 7\n"
        )
        self.assertEqual(
            self.lines(text),
            [
                ("a", 1, 3),
                ("b", ["x", "y]"], 4),
                ("c", "d = 5\n", 8),
                ("e f", True, 11),
                ("g.h", 2, 12),
                ("i.j", 3, 13),
                ("i.k", 4, 13),
                ("limits.l", 5, 16),
                ("limits.m.n", 6, 17),
                ("limits.message.o", 7, 20),
            ],
        )

    def test_lines_of_elements(self) -> None:
        """row:M14: each element of a list has the line in which it begins."""
        (entry,) = parse_file('\na = ["x", "y",\n\n  # no\n  "z",\n  """w\nw""",\n]\n', "f")
        self.assertEqual([entry.line_of(index) for index in range(4)], [2, 2, 5, 7])
        (alone,) = parse_file("a = [1, 2]", "f")
        self.assertEqual((alone.line_of(0), alone.line_of(1)), (1, 1))
        self.assertIn("line 1", repr(alone))

    def test_empty(self) -> None:
        """A file without a key has none; a table without one is known all the same."""
        self.assertEqual(parse_file("", "f"), [])
        self.assertEqual(parse_file("# nothing\n\n", "f"), [])
        (table,) = parse_file("\n[limits]", "f")
        self.assertEqual((table.path, table.value, table.line), (("limits",), {}, 2))

    def test_long_lists(self) -> None:
        """A list of some thousand lines is read without a pass over it for each."""
        text = "a = [\n" + '"b.example",\n' * 20000 + "]\nc = 1\n"
        self.assertLess(len(text), FILE_OCTETS + 1)
        self.assertEqual([(entry.name, entry.line) for entry in parse_file(text, "f")], [("a", 1), ("c", 20003)])

    def test_long_lists_of_addresses(self) -> None:
        """row:M15: nor are brackets in the elements taken for the end; what follows stands in its line."""
        count = 8_000
        text = "resolve = [\n" + '  "b.example=[::1]:5061",\n' * count + ']\n\n# next\n"listen" = 1\n'
        first, second = parse_file(text, "x")
        self.assertEqual((len(first.value), second.name, second.line), (count, "listen", count + 5))


class MistakeTests(SynchronousTestCase):
    """What is no file of ours."""

    def test_syntax(self) -> None:
        """row:M14: what is not TOML is told with its line."""
        for text, expected in (
            ("a = 1\nb =\n", "f, line 2, column 4: this is not TOML: "),
            ("a = 1\na = 2\n", "f, line 2, column 6: this is not TOML: "),
            ("a = 1\n\nb = [1,\n", "f, line 3: this is not TOML: "),
            ("a = \x1b\n", "f, line 1, column 5: this is not TOML: "),
            ("a = " + "[" * 5000 + "]" * 5000, "f: its values stand in one another too deeply"),
        ):
            with self.subTest(expected):
                error = self.assertRaises(usage.UsageError, parse_file, text, "f")
                self.assertTrue(str(error).startswith(expected), str(error))
                self.assertTrue(str(error).isprintable())

    def test_files(self) -> None:
        """row:M14: a file that is missing, too long or not UTF-8 is refused in one line."""
        path = Path(self.mktemp())
        for octets, expected in (
            (None, f"--config {path}: No such file or directory"),
            (b"a = 1\nb = '\xff'\n", f"{path}, line 2: the file is not UTF-8"),
            (b"#" * (FILE_OCTETS + 1), f"--config {path} is longer than {FILE_OCTETS} octets"),
        ):
            if octets is not None:
                path.write_bytes(octets)
            self.assertEqual(str(self.assertRaises(usage.UsageError, read_file, str(path))), expected)
        path.write_bytes(b"a = 1")
        self.assertEqual([entry.name for entry in read_file(str(path))], ["a"])
