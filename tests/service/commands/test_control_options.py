"""Which service is asked: by option, by environment, with what token."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.python import usage

from sip_p2p.service.commands.drawing import LadderOptions
from sip_p2p.service.settings.option_table import CONTROL_VARIABLE
from tests.service.support import keys
from tests.support import SynchronousTestCase


class OptionTests(SynchronousTestCase):
    """What they take."""

    def parsed(self, *arguments: str) -> LadderOptions:
        """The options of a command that can ask a service."""
        options = LadderOptions()
        options.parseOptions(list(arguments))
        return options

    def test_the_environment(self) -> None:
        """It names the service where neither a file nor an option does."""
        self.patch(os, "environ", {**os.environ, CONTROL_VARIABLE: "8080"})
        self.assertEqual(str(self.parsed().place), "http://127.0.0.1:8080")
        self.assertEqual(str(self.parsed("--control", "unix:/a").place), "unix:/a")
        self.assertIsNone(self.parsed("trace.jsonl").place)

    def test_a_token_without_a_service(self) -> None:
        """There is nobody to show it to."""
        error = self.assertRaises(usage.UsageError, self.parsed, "a", "--control-token-file", "b")
        self.assertIn("--control-token-file is given without --control", str(error))

    def test_a_token_file(self) -> None:
        """Its first line is the token; a file without one is a mistake that names it."""
        path = Path(self.mktemp())
        for content, is_right in ((b"abc\n", True), (b"", False), (b"\xff\n", False), (b"a b\n", False)):
            path.write_bytes(content)
            options = self.parsed("--control", "8080", "--control-token-file", str(path))
            if is_right:
                options.client(Clock())
            else:
                error = self.assertRaises(usage.UsageError, options.client, Clock())
                self.assertIn("its first line is no token", str(error))
        path.unlink()
        error = self.assertRaises(usage.UsageError, options.client, Clock())
        self.assertIn("No such file", str(error))

    def test_over_tls(self) -> None:
        """The authorities of a file are those that count; a file without any is a mistake."""
        place = "https://a.example:8443"
        self.parsed("--control", place, "--control-trust", str(keys() / "ca.pem")).client(Clock())
        empty = Path(self.mktemp())
        empty.touch()
        options = self.parsed("--control", place, "--control-trust", str(empty))
        self.assertRaises(usage.UsageError, options.client, Clock())

    def test_a_certificate(self) -> None:
        """It is shown over TLS; one that cannot be used, or would be shown to nobody, is a mistake."""
        place, own = "https://a.example:8443", ("--control-certificate", str(keys() / "b.example.pem"))
        self.parsed("--control", place, "--control-trust", str(keys() / "ca.pem"), *own).client(Clock())
        for arguments, words in (
            (("--control", "8080", *own), "there is no TLS"),
            (("--control", place, "--control-private-key", "key.pem"), "without --control-certificate"),
            (own, "without --control"),
        ):
            error = self.assertRaises(usage.UsageError, self.parsed, *arguments)
            self.assertIn(words, str(error))
        options = self.parsed("--control", place, "--control-certificate", "nothing.pem")
        error = self.assertRaises(usage.UsageError, options.client, Clock())
        self.assertIn("nothing.pem", str(error))

    def test_what_names_no_service(self) -> None:
        """It is one line."""
        error = self.assertRaises(usage.UsageError, self.parsed, "--control", "ftp://a")
        self.assertEqual(str(error), "--control ftp://a: name it as unix:/PATH, PORT, HOST:PORT or https://HOST:PORT")
