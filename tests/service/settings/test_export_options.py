"""The options of what is handed to other programs."""

from __future__ import annotations

from pathlib import Path

from twisted.python import usage

from sip_p2p.service.settings.options import Options
from tests.service.support import parsed
from tests.support import SynchronousTestCase

CLEAR = ("--uri", "sip:a@a.example", "--listen", "tcp:5060")


class OptionTests(SynchronousTestCase):
    """What they take."""

    def test_what_is_given(self) -> None:
        """Files are absolute, the collector is taken apart."""
        options = parsed(*CLEAR, "--pcapng", "a.pcapng", "--hep", "tcp:homer.example:9999", "--hep-id", "2001")
        self.assertEqual(options["pcapng"], str(Path("a.pcapng").absolute()))
        self.assertEqual((options.hep_target, options.hep_agent), (("tcp", "homer.example", 9999), 2001))

    def test_nothing(self) -> None:
        """Without them nothing is exported."""
        options = parsed(*CLEAR)
        self.assertEqual((options.hep_target, options["pcapng"], options["insecure-tls-key-log"]), (None, None, None))

    def test_mistakes(self) -> None:
        """Each has its line."""
        cases = {
            ("--hep", "homer.example"): "--hep homer.example: begin with udp:, tcp: or tls:",
            ("--hep", "udp:"): "--hep udp:: the host is missing",
            ("--hep-id", "1"): "--hep-id is given without --hep",
            ("--hep-password-file", "x"): "--hep-password-file is given without --hep",
            ("--hep", "udp:a", "--hep-id", "4294967296"): "--hep-id 4294967296 is not a number from 0 to 4294967295",
            ("--hep", "udp:a", "--hep-trust", "x"): "--hep-trust is given, and --hep is in clear text",
            ("--insecure-tls-key-log", "x"): "--insecure-tls-key-log needs TLS",
        }
        for arguments, expected in cases.items():
            with self.subTest(arguments):
                error = self.assertRaises(usage.UsageError, Options().parseOptions, [*CLEAR, *arguments])
                self.assertTrue(str(error).startswith(expected), str(error))
