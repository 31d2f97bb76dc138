"""The options of registration."""

from __future__ import annotations

from twisted.python import usage

from sip_p2p import SipUri
from sip_p2p.service.settings.registration_options import (
    is_registered_in_clear_text,
    registrar_of,
    registration_seconds,
)
from tests.service.support import keys, parsed
from tests.support import SynchronousTestCase

ALICE = SipUri.parse("sip:alice@a.example")


class RegistrationOptionsTests(SynchronousTestCase):
    """:mod:`sip_p2p.service.settings.registration_options`."""

    def test_none(self) -> None:
        """Nothing registers unless it is said."""
        options = parsed("--uri", "sip:alice@a.example")
        self.assertEqual((options.registrar, options.register_expires), (None, 3600))
        self.assertIsNone(registrar_of({}, ALICE))

    def test_said(self) -> None:
        """The registrar is a domain, written as a URI or by itself."""
        for text, expected in (
            ("sip:a.example", "sip:a.example"),
            ("a.example", "sip:a.example"),
            ("sip:alice@a.example;transport=tcp", "sip:a.example;transport=tcp"),
        ):
            options = parsed("--uri", "sip:alice@a.example", "--register", text, "--register-expires", "60")
            self.assertEqual((str(options.registrar), options.register_expires), (expected, 60))

    def test_wrong(self) -> None:
        """What is no address and no time is refused in one line."""
        for text in ("", "mailto:a@b.example", "sip:a.example;transport=pigeon"):
            with self.assertRaisesRegex(usage.UsageError, "^--register "):
                registrar_of({"register": text}, ALICE)
        for text in ("", "0", "-1", "1.5", "4294967296", "x"):
            with self.assertRaisesRegex(usage.UsageError, "^--register-expires "):
                registration_seconds({"register-expires": text})

    def test_workers(self) -> None:
        """Many processes would be registered many times."""
        with self.assertRaisesRegex(usage.UsageError, "one process"):
            registrar_of({"register": "sip:a.example", "workers": "4"}, ALICE)

    def test_clear_text(self) -> None:
        """A registrar is in clear text only where its own URI says so; by way of a proxy the proxy counts."""
        for text, is_clear in (
            ("sip:a.example", False),
            ("sip:a.example;transport=tls", False),
            ("sip:a.example;transport=udp", True),
            ("sips:a.example;transport=tcp", False),
        ):
            self.assertEqual(is_registered_in_clear_text(SipUri.parse(text)), is_clear, text)
        arguments = ("--uri", "sip:alice@a.example", "--register", "sip:a.example;transport=tcp")
        self.assertTrue(parsed(*arguments).is_clear_text)
        self.assertFalse(parsed(*arguments, "--proxy", "p.example", "--trust", str(keys() / "ca.pem")).is_clear_text)
