"""Tests of where tokens come from."""

from __future__ import annotations

from sip_p2p.sip.abnf import CALL_ID, TOKEN
from sip_p2p.sip.tokens import BRANCH_COOKIE, CountingTokens, TokenSource
from tests.support import SynchronousTestCase


class TokenTests(SynchronousTestCase):
    """Branches, tags and Call-IDs."""

    def test_source_is_abstract(self) -> None:
        """A source that makes nothing says that it is abstract, whatever it is asked for."""
        for ask in (TokenSource().token, TokenSource().branch, TokenSource().tag, TokenSource().call_id):
            with self.assertRaises(TypeError):
                ask()

    def test_everything_follows_from_token(self) -> None:
        """A source overrides one method: a branch is the cookie and a token, a tag and a Call-ID are tokens
        (RFC 3261 sections 8.1.1.4, 8.1.1.7 and 19.3)."""

        class Fixed(TokenSource):
            def token(self) -> str:
                return "abc"

        source = Fixed()
        self.assertEqual((source.branch(), source.tag(), source.call_id()), ("z9hG4bKabc", "abc", "abc"))
        self.assertEqual(BRANCH_COOKIE, "z9hG4bK")

    def test_counting(self) -> None:
        """The source for tests counts, never repeats itself, and two prefixes never meet (row:M16)."""
        one, two = CountingTokens("a."), CountingTokens("b.")
        self.assertEqual([one.token(), one.tag(), one.call_id(), one.branch()], ["a.1", "a.2", "a.3", "z9hG4bKa.4"])
        made = {source.token() for source in (one, two) for _ in range(50)}
        self.assertEqual(len(made), 100)
        self.assertTrue(all(TOKEN.fullmatch(token) and CALL_ID.fullmatch(token) for token in made))

    def test_numbers(self) -> None:
        """A number follows from a token, stays below its bound, and takes each value about as often as any other."""
        source = CountingTokens()
        counts = [0] * 7
        for _ in range(7000):
            counts[source.number(7)] += 1
        self.assertTrue(all(850 < count < 1150 for count in counts), counts)
        self.assertEqual(CountingTokens().number(2**32), CountingTokens().number(2**32))
        self.assertEqual(CountingTokens().number(1), 0)

    def test_no_host_in_a_call_id(self) -> None:
        """A Call-ID names no host (RFC 3261 section 8.1.1.4)."""
        self.assertNotIn("@", CountingTokens().call_id())
