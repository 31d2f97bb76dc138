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

    def test_what_is_made_of_them(self) -> None:
        """Branches carry the cookie, and all of them are tokens (RFC 3261 sections 8.1.1.7 and 19.3)."""
        source = RandomTokens()
        self.assertTrue(source.branch().startswith(BRANCH_COOKIE))
        for text in (source.branch(), source.tag(), source.call_id()):
            self.assertIsNotNone(TOKEN.fullmatch(text))
