"""Tests of the grammar's terminals, and of how the package may write a pattern."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import sip_p2p
from sip_p2p.sip.abnf import (
    CALL_ID,
    QUOTED_STRING,
    TOKEN,
    ascii_lower,
    check_quotable,
    has_octets,
    is_token,
    octets_of,
    parse_number,
    quote,
    unquote,
)
from tests.support import SynchronousTestCase

LOOSE = {"$": "a dollar sign also matches before a line feed"} | {
    f"\\{letter}": "it means more than ASCII, or is easily taken for less" for letter in "sSdDwWbB"
}
"""What no pattern of the package may hold, and why."""


def loose_parts(pattern: str) -> list[str]:
    """What of :data:`LOOSE` stands in *pattern* outside of a character class (the dollar) or anywhere (the letters)."""
    found = []
    in_class = False
    position = 0
    while position < len(pattern):
        piece = pattern[position : position + 2] if pattern[position] == "\\" else pattern[position]
        if piece == "[":
            in_class = True
        elif piece == "]":
            in_class = False
        if piece in LOOSE and not (piece == "$" and in_class):
            found.append(piece)
        position += len(piece)
    return found


def literal_patterns(path: Path) -> list[tuple[int, str]]:
    """The text of every pattern that *path* hands to ``re``, with its line; the fields of an f-string are left out."""
    patterns = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.func.attr != "escape":
            constants = [
                inner.value
                for inner in ast.walk(node.args[0])
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str | bytes)
            ]
            for constant in constants:
                text = constant if isinstance(constant, str) else constant.decode("latin-1")
                patterns.append((node.lineno, text))
    return patterns


class TerminalTests(SynchronousTestCase):
    """Tokens, Call-IDs, quoted strings and numbers."""

    def test_token(self) -> None:
        """A token is made of exactly the 72 characters of section 25.1, and of at least one."""
        allowed = {chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000 and is_token(chr(code))}
        self.assertEqual("".join(sorted(allowed)), "".join(sorted("-.!%*_+`'~" + ALPHANUM)))
        self.assertFalse(is_token(""))

    def test_whole_text(self) -> None:
        """A validator looks at the whole text: a token with a line feed after it is none (fault:B2)."""
        for text in ("INVITE\n", "\nINVITE", "INVITE\r", "INV ITE", "INVITE\0", "INVITE\u2028"):
            self.assertFalse(is_token(text), ascii(text))

    def test_call_id(self) -> None:
        """A Call-ID is a word or two around an @; the odd one of RFC 4475 section 3.1.1.2 is one."""
        for text in ("a84b4c76e66710@pc33.atlanta.com", "x", "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"):
            self.assertIsNotNone(CALL_ID.fullmatch(text), text)
        for text in ("", "@", "a@", "@a", "a@b@c", "a b", "a,b", "\u00e4"):
            self.assertIsNone(CALL_ID.fullmatch(text), text)

    def test_ascii_lower(self) -> None:
        """Only A to Z become small: the Kelvin sign stays itself, and so does the dotted I."""
        self.assertEqual(ascii_lower("TAG-\u212a\u0130\u00c4"), "tag-\u212a\u0130\u00c4")
        self.assertEqual(ascii_lower("BrAnch"), "branch")

    @settings(deadline=None)
    @given(st.text())
    def test_quote_and_unquote(self, text: str) -> None:
        """Whatever can be quoted comes back the same, and the quoted string ends where it should (fault:B3)."""
        try:
            quoted = quote(text)
        except ValueError:
            self.assertTrue("\r" in text or "\n" in text or not has_octets(text))
            return
        match = QUOTED_STRING.match(quoted + '";tag=x')
        assert match is not None
        self.assertEqual(match[0], quoted)
        self.assertEqual(unquote(match[1]), text)

    def test_quoted_string_ends(self) -> None:
        """An open quote, a quoted quote at the end and a bare control character make no quoted string."""
        for text in ('"', '"a', '"a\\"', '"a\\', '"\0"', '"\x07"', '"a\r\nb"', '"\\\r"'):
            self.assertIsNone(QUOTED_STRING.fullmatch(text), ascii(text))

    def test_check_quotable(self) -> None:
        """An application puts neither CR, LF nor NUL into a quoted string (fault:B1)."""
        for text in ("a\rb", "a\nb", "a\0b", "\ud800", "\udcc3\udca9"):
            self.assertRaises(ValueError, check_quotable, text)
        self.assertEqual(check_quotable('say "hi" \\ \udcff'), 'say "hi" \\ \udcff')

    def test_quoted_nul_of_a_peer(self) -> None:
        """A NUL that a peer sent as a quoted-pair is kept, and written as one again (RFC 4475 section 3.1.1.2)."""
        self.assertEqual(unquote("NUL:\\\0"), "NUL:\0")
        self.assertEqual(quote("NUL:\0"), '"NUL:\\\0"')


ALPHANUM = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class OctetsTests(SynchronousTestCase):
    """What may be given for a body."""

    def test_octets(self) -> None:
        """Text, octets and what has octets to give are a body; a number is none, nor text without a UTF-8 form."""
        for body in ("ä", "ä".encode(), bytearray("ä".encode())):
            self.assertEqual(octets_of(body), b"\xc3\xa4")
        for wrong, error in ((5, TypeError), (None, TypeError), ("\ud800", ValueError)):
            body_of_some_sort: Any = wrong
            self.assertRaises(error, octets_of, body_of_some_sort)


class NumberTests(SynchronousTestCase):
    """1*DIGIT, bounded."""

    def test_boundaries(self) -> None:
        """A number is taken up to its maximum and refused above (fault:A14)."""
        for maximum in (255, 65535, 2**31 - 1, 2**32 - 1):
            self.assertEqual(parse_number(str(maximum), maximum), maximum)
            self.assertEqual(parse_number("0" * 40 + str(maximum), maximum), maximum)
            self.assertRaises(ValueError, parse_number, str(maximum + 1), maximum)
        self.assertEqual(parse_number("000", 7), 0)

    def test_what_is_no_number(self) -> None:
        """Signs, blanks, underscores, other alphabets' digits and nothing at all are no numbers (fault:A14)."""
        for text in (
            "",
            " ",
            "+5",
            "-1",
            " 5",
            "5 ",
            "1_000",
            "0x10",
            "1e3",
            "1.0",
            "\u0665",
            "\u0661\u0660",
            "\u00b2",
            "5\n",
        ):
            self.assertRaises(ValueError, parse_number, text, 2**31)

    def test_five_thousand_digits(self) -> None:
        """A number of more digits than Python converts is too large, and no error of Python's own (fault:A14)."""
        with self.assertRaisesRegex(ValueError, "larger than 255"):
            parse_number("9" * 5000, 255)

    def test_a_million_digits(self) -> None:
        """Digits are counted before they are converted (fault:A8)."""
        started = time.process_time()
        for _ in range(10):
            self.assertRaises(ValueError, parse_number, "9" * 1_000_000, 2**31)
        self.assertLess(time.process_time() - started, 1.0)


class PatternRuleTests(SynchronousTestCase):
    """How a pattern may be written anywhere in the package."""

    def test_the_rule_finds_what_it_should(self) -> None:
        """The search for loose patterns finds each of them, and takes no literal dollar for one."""
        for pattern in ("^abc$", r"\s+", r"[\d.]", r"a\w*", r"\bword"):
            self.assertEqual(len(loose_parts(pattern)), 1, pattern)
        for pattern in ("[A-Za-z0-9&=+$,]+", r"cost\$", r"\\s", r"\\\$"):
            self.assertEqual(loose_parts(pattern), [], pattern)

    def test_no_loose_pattern_in_the_sources(self) -> None:
        """No pattern of the package ends in a dollar sign or leans on Unicode's classes (fault:B2)."""
        root = Path(sip_p2p.__file__).parent
        wrong = [
            f"{path.relative_to(root)}:{line}: {part} ({LOOSE[part]})"
            for path in sorted(root.rglob("*.py"))
            for line, pattern in literal_patterns(path)
            for part in loose_parts(pattern)
        ]
        self.assertEqual(wrong, [])

    def test_no_loose_pattern_at_run_time(self) -> None:
        """Nor does one come out of the pieces that the SIP layer puts its patterns together from (fault:B2)."""
        import sip_p2p.sip

        wrong = []
        seen = 0
        for info in pkgutil.walk_packages(sip_p2p.sip.__path__, "sip_p2p.sip."):
            module = importlib.import_module(info.name)
            for name, value in vars(module).items():
                if isinstance(value, re.Pattern):
                    seen += 1
                    text = value.pattern if isinstance(value.pattern, str) else value.pattern.decode("latin-1")
                    wrong += [f"{info.name}.{name}: {part}" for part in loose_parts(text)]
        self.assertEqual(wrong, [])
        self.assertGreater(seen, 20)
        self.assertIsNotNone(TOKEN.fullmatch("seen"))
