"""The options of the webhook: each mistake has its one line, and nothing secret of a URL is repeated."""

from __future__ import annotations

from twisted.python import usage

from sip_p2p.service.settings.webhook_options import USUAL_EVENTS, WebhookSettings
from tests.service.support import parsed
from tests.support import SynchronousTestCase

HOOK = ("--uri", "sip:bob@b.example", "--webhook-secret-file", "secret")


def settings(*arguments: str) -> WebhookSettings:
    """What the options say."""
    found = parsed(*HOOK, *arguments).webhook
    assert found is not None
    return found


class WebhookOptionsTests(SynchronousTestCase):
    """:class:`WebhookOptions`."""

    def test_without(self) -> None:
        """Without --webhook there is none."""
        self.assertIsNone(parsed("--uri", "sip:bob@b.example").webhook)

    def test_the_usual(self) -> None:
        """A URL and a file are enough."""
        found = settings("--webhook", "https://Hook.Example/sip?token=t")
        self.assertEqual((found.url, found.place), ("https://Hook.Example/sip?token=t", "https://hook.example:443/sip"))
        self.assertEqual((found.host, found.port, found.is_secure, found.is_risky), ("hook.example", 443, True, False))
        self.assertTrue(found.secret_file.startswith("/"))
        self.assertEqual((found.events, found.methods), (frozenset(USUAL_EVENTS), ()))
        self.assertEqual((found.timeout, found.patience, found.concurrency), (5.0, 20.0, 16))

    def test_everything(self) -> None:
        """Each option has its place."""
        found = settings(
            "--webhook=https://hook.example", "--webhook-trust=ca.pem", "--webhook-methods=INFO, NOTIFY,INFO",
            "--webhook-events=session-state,flow-lost", "--webhook-timeout=2.5", "--webhook-patience=9",
            "--webhook-concurrency=3",
        )  # fmt: skip
        self.assertEqual((found.methods, found.events), (("INFO", "NOTIFY"), {"session-state", "flow-lost"}))
        self.assertEqual((found.timeout, found.patience, found.concurrency), (2.5, 9.0, 3))
        assert found.trust is not None
        self.assertTrue(found.trust.endswith("/ca.pem"))
        self.assertEqual(settings("--webhook=https://hook.example", "--webhook-events=none").events, frozenset())

    def test_clear_text(self) -> None:
        """http is for this machine, and beyond it only where that is asked for by its long name."""
        for url in (
            "http://127.0.0.1:8000/",
            "http://[::1]/",
            "http://localhost",
            "http://a.localhost:1/",
            "http://127.9.9.9",
        ):
            self.assertFalse(settings("--webhook", url).is_risky, url)
        self.assertEqual(settings("--webhook", "http://[::1]:81/x").place, "http://[::1]:81/x")
        self.assertTrue(settings("--webhook", "http://hook.example", "--webhook-allow-clear-text").is_risky)

    def test_mistakes(self) -> None:
        """Each has its one line."""
        https = "--webhook=https://hook.example"
        for words, arguments in {
            "without --webhook:": ["--webhook-timeout=3"],
            "--application webhook needs --webhook": ["--uri=sip:a@b.example", "--application=webhook"],
            "http beyond this machine": ["--webhook=http://hook.example"],
            "http beyond": ["--webhook=http://127.0.0.1.example"],
            "is no URL": ["--webhook=hook"],
            "is no URL such": ["--webhook=https://a b/"],
            "neither https nor http": ["--webhook=ftp://hook.example/?secret"],
            "holds a user": ["--webhook=https://secret:secret@hook.example/"],
            "fragment": ["--webhook=https://hook.example/#secret"],
            "port 0": ["--webhook=https://hook.example:0/?secret"],
            "characters that no URL holds": ["--webhook=https://hook.example/secret\u00fc"],
            "and --webhook is not https": ["--webhook=http://localhost", "--webhook-trust=x"],
            "more than 30 seconds": [https, "--webhook-patience=31"],
            "not a number of seconds": [https, "--webhook-timeout=0"],
            "is no number from 1 to 256": [https, "--webhook-concurrency=0"],
            "'IN FO' is no method": [https, "--webhook-methods=IN FO"],
            "MESSAGE goes to the hook anyway": [https, "--webhook-methods=MESSAGE"],
            "BYE is answered by the stack": [https, "--webhook-methods=INFO,BYE"],
            "is no event such as": [https, "--webhook-events=Session State"],
            "webhook-lost is no event": [https, "--webhook-events=webhook-lost"],
        }.items():
            with self.subTest(words):
                base = () if words.startswith("--application") else HOOK
                error = str(self.assertRaises(usage.UsageError, parsed, *base, *arguments))
                self.assertIn(words.replace("'", ""), error)
                self.assertNotIn("\n", error)
                self.assertNotIn("secret ", error.replace("--webhook-secret-file", ""))
        error = self.assertRaises(usage.UsageError, parsed, "--uri", "sip:b@b.example", https)
        self.assertIn("--webhook-secret-file", str(error))
