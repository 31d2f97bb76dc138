"""A certificate fetched from where a peer says: what may be fetched, and how little of what goes wrong can hurt."""

from __future__ import annotations

import gzip
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError

from sip_p2p.endpoint.identity.fetching import FetchRules, NotFetched, fetch, is_public
from tests.endpoint.identity.support import AUTHORITY, ISSUED, OPEN, URL, WEB, WebCase, ok, web_policy
from tests.support import SynchronousTestCase


class RuleTests(SynchronousTestCase):
    """What may be fetched at all."""

    def test_urls(self) -> None:
        """https from a usual port of a named host is fetched, and nothing else (fault:E7, RFC 8224 section 7.3)."""
        rules = FetchRules()
        for url, where in (
            ("https://certs.example/a.pem", ("certs.example", 443)),
            ("HTTPS://Certs.Example:8443/x?y=z", ("certs.example", 8443)),
            ("https://192.0.2.1/", ("192.0.2.1", 443)),
            ("https://[2001:db8::1]:443/", ("2001:db8::1", 443)),
        ):
            self.assertEqual(rules.check(url), where)
        for url in (
            "http://certs.example/a.pem", "ftp://certs.example/", "file:///etc/passwd", "cid:a@b", "sip:certs.example",
            "https://certs.example:22/", "https://certs.example:99999/", "https://certs.example:x/", "https:///a",
            "https://user@certs.example/", "https://certs.example/#a", "https://a\\@certs.example/", "https://a b/",
            "https://certs.example/\r\nX: y", "https://c\u00e9rts.example/", "https://-x/", "https://[::1/", "",
            "https://certs.example/" + "a" * 1024, "https://certs_.example/", "https://[x]/",
        ):  # fmt: skip
            self.assertRaises(NotFetched, rules.check, url)

    def test_own_rules(self) -> None:
        """Hosts and ports can be listed, and then only those are asked."""
        rules = FetchRules(hosts=["Certs.Example"], ports=[444])
        self.assertEqual(rules.check("https://certs.example:444/"), ("certs.example", 444))
        for url in ("https://certs.example/", "https://other.example:444/"):
            self.assertRaises(NotFetched, rules.check, url)

    def test_addresses(self) -> None:
        """Only addresses of the Internet are connected to, however those of one's own network are spelled
        (fault:E7)."""
        for address in ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"):
            self.assertTrue(is_public(address), address)
        for address in (
            "127.0.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
            "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1",
            "ff02::1", "2001:db8::1", "fec0::1",
            "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::",
            "x", "", "127.1",
        ):  # fmt: skip
            self.assertFalse(is_public(address), address)
        found = ["8.8.8.8", "10.0.0.1", "8.8.8.8", "9.9.9.9", "1.1.1.1", "1.0.0.1", "8.8.4.4"]
        self.assertEqual(FetchRules().usable(found), ["8.8.8.8", "9.9.9.9", "1.1.1.1", "1.0.0.1"])
        self.assertEqual(OPEN.usable(["10.0.0.1"]), ["10.0.0.1"])

    @given(st.text())
    def test_any_url(self, url: str) -> None:
        """Any text is a place to ask, or it is refused, and nothing else happens (fault:A13)."""
        try:
            FetchRules().check(url)
        except NotFetched:
            return


class FetchTests(WebCase):
    """Over TLS, on a network in memory."""

    def get(self, url: str = URL, rules: FetchRules = OPEN, most: int = 65536, timeout: float = 5.0) -> Any:
        """Fetch it: what was fetched, or why nothing was; and nothing stays open."""
        try:
            return self.network.run_until(fetch(self.asker, url, rules, web_policy(), most, timeout))
        except NotFetched as error:
            return str(error)
        finally:
            self.network.advance(1)
            self.assertEqual(self.web.open, 0)
            self.assertEqual(self.asker.getDelayedCalls(), [])

    def test_fetched(self) -> None:
        """A certificate is fetched as it is, and the server hears nothing of who we are (RFC 8224 section 7.3)."""
        self.assertEqual(self.get(), (ISSUED.certificate_pem, None))
        asked = self.web.asked[0].lower()
        self.assertTrue(asked.startswith("get /a.pem http/1.1\r\n"), asked)
        self.assertIn("accept-encoding: identity\r\n", asked)
        self.assertIn("host: certs.example\r\n", asked)
        self.assertNotIn("cookie", asked)

    def test_for_how_long(self) -> None:
        """The server says for how long it is good (RFC 9111 section 5.2.2)."""
        for field, seconds in (
            ("Cache-Control: public, max-age=90", 90.0), ("Cache-Control: no-store", 0.0), ("Expires: 0", None),
            ("Cache-Control: max-age=99999999999", None),
        ):  # fmt: skip
            self.web.answer = ok(fields=f"{field}\r\n")
            self.assertEqual(self.get(), (ISSUED.certificate_pem, seconds))

    def test_bad_answers(self) -> None:
        """Redirections are not followed, nothing is unpacked, and what is no whole 200 is nothing (fault:E7)."""
        packed = gzip.compress(b"x" * 1000)
        for answer, words in (
            (b"HTTP/1.1 302 Found\r\nLocation: https://other.example/\r\nContent-Length: 0\r\n\r\n", "answers 302"),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answers 404"),
            (ok(packed, "Content-Encoding: gzip\r\n"), "compressed"),
            (b"SIP/2.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "no HTTP"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000, "too large"),
            (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 30000, "could not be asked"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", "in part only"),
        ):
            self.web.answer = answer
            self.assertIn(words, self.get(), answer[:40])
        self.assertEqual(len(self.web.asked), 7)

    def test_silence(self) -> None:
        """limit:passport_fetch_timeout: a server that says nothing is waited for no longer than that, and one that
        stops in the middle likewise."""
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nx"):
            self.web.answer = answer
            before = self.network.seconds()
            self.assertIn("longer than 5 s", self.get())
            self.assertAlmostEqual(self.network.seconds() - before, 6.0, 1)

    def test_wrong_server(self) -> None:
        """A server that does not prove its name is not asked, by whatever authority of signers it is known
        (fault:E7)."""
        for issued, name in ((WEB.issue("x.example"), "y.example"), (AUTHORITY.issue("z.example"), "z.example")):
            other = self.serve(issued, name)
            self.assertIn("could not be asked", self.get(f"https://{name}/"))
            self.assertEqual(other.asked, [])
            self.assertEqual(other.open, 0)

    def test_private(self) -> None:
        """A name that leads into a private network, and one that leads nowhere, are not connected to (fault:E7)."""
        for url in (URL, "https://nowhere.example/", f"https://{self.network.addresses_of('certs.example')[0]}/"):
            self.assertIn("no public address", self.get(url, FetchRules()))
        self.assertFalse([line for line in self.network.log if ":443" in line])

    def test_second_address(self) -> None:
        """Where one address does not answer the next one is tried, and only those that were looked at."""
        address = self.network.addresses_of("certs.example")[0]
        self.network.name("certs.example", "10.9.9.9", address)
        self.assertEqual(self.get(timeout=60.0)[0], ISSUED.certificate_pem)

    def test_cancelled(self) -> None:
        """Who gives up closes the connection."""
        self.web.answer = b""
        fetching = fetch(self.asker, URL, OPEN, web_policy(), 65536, 5.0)
        self.network.advance(1)
        self.assertEqual(self.web.open, 1)
        fetching.cancel()
        self.failureResultOf(fetching, CancelledError, NotFetched)
        self.network.advance(1)
        self.assertEqual(self.web.open, 0)
