"""Options that say how peers are known, where they are found, and how much of them is borne."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from twisted.python import usage

from sip_p2p import RealTimeServerTlsConnectionManager
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.commands.sending import AskOptions
from sip_p2p.service.party import make_party
from sip_p2p.service.settings.options import Options
from sip_p2p.service.settings.peer_options import limit_words, limits_from
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.testing import Network
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.trust.key_usage import KeyUsagePolicy
from sip_p2p.transport.trust.pins import pin_of
from sip_p2p.transport.trust.revocation import RevocationMode
from tests.service.support import keys, parsed
from tests.service.test_service import identity
from tests.support import SynchronousTestCase

PIN = "sha256/" + "A" * 43 + "="


class MistakeTests(SynchronousTestCase):
    """row:M14: each mistake has its one line."""

    MISTAKES = (
        (("--pin", "b.example"), "--pin: 'b.example' pins nothing: write NAME=sha256/..."),
        (("--pin", "b.example=sha1/x"), "--pin: 'sha1/x' is not the pin of a key"),
        (("--required-eku", "sipDomain,tea"), "--required-eku: 'tea' is no purpose: write a dotted number, or one of"),
        (("--reload-interval", "-1"), "--reload-interval -1 is not a number of seconds between 0 and 86400"),
        (("--websocket-origin", "here"), "--websocket-origin: origins: 'here' is no origin"),
        (("--key-usage", "any"), "--key-usage: 'any' is no key usage policy: choose one of"),
        (("--revocation", "maybe"), "--revocation maybe is neither soft nor hard"),
        (("--revocation", "hard"), "--revocation is given without --crl: which lists are to be looked at?"),
        (("--stapling", "x"), "--stapling x is neither soft nor hard"),
        (("--websocket-path", "sip"), "--websocket-path sip is no path: it begins with a slash"),
        (("--first-use-for", "b.example"), "--first-use-for is given without --first-use"),
        (("--family", "v5"), "--family: 'v5' is not an address family; there are all, v4"),
        (("--dns-server", "dns.example"), "--dns-server dns.example is not the address of a name server"),
        (("--dns-server", "192.0.2.1:0"), "--dns-server 192.0.2.1:0 is not the address of a name server"),
        (("--limit", "idle_timeout"), "--limit idle_timeout is not NAME=VALUE; --help-limits lists the names"),
        (("--limit", "frob=1"), "--limit frob is no bound; --help-limits lists them"),
        (("--limit", "message=1"), "--limit message is no bound"),
        (("--limit", "transactions=1.5"), "--limit transactions=1.5 is not a whole number"),
        (("--limit", "idle_timeout=long"), "--limit idle_timeout=long is not a number"),
        (("--limit", "idle_timeout=nan"), "--limit: the limit 'idle_timeout' cannot be nan"),
        (("--limit", "transactions=0"), "--limit: the limit 'transactions' cannot be 0"),
        (("--limit", "message.body=0"), "--limit: the limit 'body' must be at least 1"),
        (("--limit", "drain_timeout=1"), "--limit drain_timeout: --drain says how long a stop may take"),
        (
            ("--limit", "handshakes=1", "--limit", "handshakes=2"),
            "--limit handshakes is given twice: 1 and 2",
        ),
    )

    def test_each_mistake_has_one_line(self) -> None:
        """row:M14: what is none of the values that an option can have is told in one printable line, by the service and
        by the command."""
        for arguments, expected in self.MISTAKES:
            for kind, rest in ((Options, ()), (AskOptions, ("sip:b@b.example",))):
                with self.subTest(arguments, kind=kind):
                    error = self.assertRaises(
                        usage.UsageError, kind().parseOptions, ["--uri", "sip:a@a.example", *arguments, *rest]
                    )
                    self.assertTrue(str(error).startswith(expected), str(error))
                    self.assertTrue(str(error).isprintable())

    def test_mistakes_of_the_service(self) -> None:
        """row:M14: the same for what only the service has."""
        for arguments, expected in (
            (("--first-use-incoming",), "--first-use-incoming is given without --first-use: where"),
            (("--reconnect", "often"), "--reconnect often is neither lazy nor eager"),
            (("--keep-alive", "1"), "--keep-alive 1 is neither off, 0, nor 5 seconds or more"),
            (("--keep-alive", "x"), "--keep-alive x is not a number of seconds"),
            (("--pool-size", "0"), "--pool-size 0 is neither none nor a number from 1 to 9999"),
            (("--advertise", "a b"), "--advertise: 'a b' is neither a host name nor an IP address"),
            (("--trusted-proxy", ".example"), "--trusted-proxy: '.example': a trusted proxy is named exactly"),
            (("--trusted-proxy", "p.example", "--allow-any-from"), "--allow-any-from trusts everybody"),
        ):
            error = self.assertRaises(usage.UsageError, parsed, "--uri", "sip:a@a.example", *arguments)
            self.assertTrue(str(error).startswith(expected), str(error))


class LimitTests(SynchronousTestCase):
    """row:M14: every bound can be set by name."""

    def test_every_bound(self) -> None:
        """Each bound there is can be set, whole numbers as such, and stands in the list that --help-limits prints."""
        words = limit_words()
        for prefix, usual in (("", Limits()), ("message.", MessageLimits())):
            for name in usual.__slots__:
                if name in ("message", "drain_timeout") and not prefix:
                    continue
                value = getattr(usual, name)
                changed = limits_from({prefix + name: f"{value * 2}"} if name != "line" else {prefix + name: "2048"})
                found = getattr(changed.message if prefix else changed, name)
                self.assertEqual((found, type(found)), (2048 if name == "line" else value * 2, type(value)), name)
                self.assertIn(f"\n{prefix}{name} = ", words)
        self.assertEqual([line for line in words.splitlines()[1:] if line.endswith(": ")], [])

    def test_help(self) -> None:
        """--help-limits prints them and leaves with 0."""
        out = io.StringIO()
        self.patch(sys, "stdout", out)
        left = self.assertRaises(SystemExit, parsed, "--help-limits")
        self.assertEqual((left.code, out.getvalue()), (0, f"{limit_words()}\n"))


class PartyTests(SynchronousTestCase):
    """What the options make of a party."""

    def manager(self, *arguments: str) -> RealTimeServerTlsConnectionManager:
        """The connection manager of a service with these options."""
        options = parsed(*identity(), *arguments)
        network = Network()
        party = make_party(network.host(), options, is_clear_text=False, policy=options.policy)
        self.addCleanup(lambda: network.run_until(party.manager.terminate()))
        assert isinstance(party.manager, RealTimeServerTlsConnectionManager)
        return party.manager

    def test_everything_is_reachable(self) -> None:
        """row:M14: what connection managers can be given can be said on the command line."""
        folder = keys()
        manager = self.manager(
            "--pin", f"b.example={PIN}", "--first-use", self.mktemp(), "--first-use-for", "c.example", "--key-usage",
            "strict", "--server-certificate", f"b.example={folder / 'b.example.pem'}", "--trusted-proxy", "p.example",
            "--family", "v4", "--limit", "idle_timeout=7", "--limit", "message.body=1000", "--drain", "3",
            "--advertise", "Gate.example", "--keep-alive", "30", "--pool-size", "4", "--reconnect", "eager",
            "--dns-server", "192.0.2.53", "--dns-server", "[2001:db8::53]:5353", "--stapling", "soft",
            "--websocket-path", "/sip", "--websocket-origin", "https://a.example", "--required-eku",
            "sipDomain,1.3.6.1.5.5.7.3.2", "--reload-interval", "0",
        )  # fmt: skip
        self.assertEqual((manager.limits.idle_timeout, manager.limits.drain_timeout), (7.0, 3.0))
        self.assertEqual(manager.limits.message.body, 1000)
        self.assertEqual((manager.family.value, manager.advertise), ("v4", "gate.example"))
        self.assertEqual(list(manager.server_certificates), ["b.example"])
        self.assertEqual((manager.pool.websocket.path, manager.pool.websocket.origin), ("/sip", "https://a.example"))
        self.assertEqual(manager.tls_settings().usage.required, {"1.3.6.1.5.5.7.3.20", "1.3.6.1.5.5.7.3.2"})
        self.assertEqual(manager.from_policy.trusted_proxies, {"p.example"})
        self.assertEqual(manager.tls_settings().usage.policy, KeyUsagePolicy.STRICT)

    def test_first_use_both_ways(self) -> None:
        """row:M14: that strangers may come with a key of their own has to be asked for."""
        for more, expected in (((), 1), (("--first-use-incoming",), 2)):
            [first_use] = parsed(*identity(), "--first-use", self.mktemp(), *more).trusts()
            self.assertEqual(len(first_use.warnings), expected)

    def test_revocation(self) -> None:
        """row:D17: a list that is not there is one line; one that is there is looked at as --revocation says."""
        options = parsed(*identity(), "--crl", "/there/is/none.crl")
        error = self.assertRaises(usage.UsageError, make_party, Network().host(), options, is_clear_text=False)
        self.assertIn("/there/is/none.crl", str(error))
        folder = Path(self.mktemp())
        folder.mkdir()
        manager = self.manager("--crl", str(folder), "--revocation", "hard")
        revocation = manager.revocation
        assert revocation is not None
        self.assertEqual((revocation.mode, revocation.files), (RevocationMode.HARD, (folder.resolve(),)))

    def test_certificates_by_name(self) -> None:
        """row:D26: a certificate for a name that it does not prove is one line; a file or a folder alone stands for
        every name in it."""
        path = keys() / "b.example.pem"
        options = parsed(*identity(), "--server-certificate", f"c.example={path}")
        error = self.assertRaises(usage.UsageError, make_party, Network().host(), options, is_clear_text=False)
        self.assertIn("proves b.example and not c.example", str(error))
        for given in ((str(path),), (str(path), f"a.example={keys() / 'a.example.pem'}")):
            arguments = [part for each in given for part in ("--server-certificate", each)]
            self.assertIn("b.example", list(self.manager(*arguments).server_certificates))

    def test_without_an_authority(self) -> None:
        """row:M14: who pins keys, or remembers them, needs no authority."""
        own = CertificateAuthority.load(keys()).issue("b.example")
        for arguments in (("--pin", f"b.example={pin_of(own.certificate)}"), ("--first-use", self.mktemp())):
            options = parsed(*identity()[:4], *arguments)
            network = Network()
            party = make_party(network.host(), options, is_clear_text=False)
            network.run_until(party.manager.terminate())
            self.assertIsNotNone(party.credential)
        error = self.assertRaises(
            usage.UsageError, make_party, Network().host(), parsed(*identity()[:4]), is_clear_text=False
        )
        self.assertIn("--trust is missing", str(error))
