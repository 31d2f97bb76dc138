"""Tokens from the operating system."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.tokens import BRANCH_COOKIE
from sip_p2p.transport.random_tokens import RandomTokens


class RandomTokensTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.random_tokens.RandomTokens`."""

    def test_never_twice(self) -> None:
        """Tokens have 128 bits, none comes twice, within a batch or over batches, nor from two sources
        (RFC 3261 section 19.3)."""
        one, other = RandomTokens(), RandomTokens()
        found = [source.token() for source in (one, other) for _ in range(1000)]
        self.assertEqual(len(set(found)), 2000)
        for token in found:
            self.assertEqual((len(token), token.strip("0123456789abcdef")), (32, ""))

    def test_every_bit_moves(self) -> None:
        """Each of the 128 bits is set in about half of the tokens."""
        source = RandomTokens()
        numbers = [int(source.token(), 16) for _ in range(2000)]
        for bit in range(128):
            share = sum(number >> bit & 1 for number in numbers) / len(numbers)
            self.assertTrue(0.4 < share < 0.6, f"bit {bit}: {share}")

    def test_a_million_tags(self) -> None:
        """Of 10^6 tags none comes twice, and at each place each digit comes as often as any other (RFC 3261 section
        19.3, fault:D1)."""
        source = RandomTokens()
        count = 1_000_000
        text = "".join(source.tag() for _ in range(count)).encode()
        self.assertEqual(len({text[start : start + 16] for start in range(0, len(text), 32)}), count)
        # A sixteenth of them each; the deviation of such a count is 242, and six times that is not chance.
        for place in range(32):
            column = text[place::32]
            for digit in b"0123456789abcdef":
                self.assertLess(abs(column.count(digit) - count // 16), 1500, f"{digit:c} at place {place}")

    def test_what_is_made_of_them(self) -> None:
        """Branches carry the cookie, and all of them are tokens (RFC 3261 sections 8.1.1.7 and 19.3)."""
        source = RandomTokens()
        self.assertTrue(source.branch().startswith(BRANCH_COOKIE))
        for text in (source.branch(), source.tag(), source.call_id()):
            self.assertIsNotNone(TOKEN.fullmatch(text))
