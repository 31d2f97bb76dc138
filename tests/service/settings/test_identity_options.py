"""Options of asserted and signed identities: what they are read as, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from twisted.python import usage

from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.party import make_party
from sip_p2p.service.settings.identity_options import IdentityOptions
from sip_p2p.service.settings.options import Options
from sip_p2p.testing import Network
from tests.support import SynchronousTestCase

URL = "https://a.example/certificate.pem"


class IdentityOptionsTests(SynchronousTestCase):
    """:mod:`sip_p2p.service.settings.identity_options`."""

    def read(self, *given: str) -> IdentityOptions:
        """The options of this command line."""
        options = IdentityOptions()
        options.parseOptions(given)
        return options

    def test_usual(self) -> None:
        """Without options nobody is believed, nothing is signed and nothing is judged."""
        options = self.read()
        self.assertEqual(options.trusted_identities, [])
        self.assertIsNone(options.passport_signer(lambda: None))
        self.assertIsNone(options.passport_verifier())
        self.assertIsNone(self.read("--passports", "off").passport_verifier())

    def test_mistakes(self) -> None:
        """Each has its one line."""
        for given, expected in (
            (["--passports", "maybe\x1b"], "--passports maybe\\x1b is neither off nor check nor require"),
            (["--passports", "check"], "--passports check needs --passport-trust"),
            (["--passport-trust", "x.pem"], "--passport-trust is given, and --passports does not say"),
            (["--passport-host", "x", "--passports", "off"], "--passport-host is given, and --passports does not say"),
            (
                ["--passport-url", "http://a.example/"],
                "--passport-url http://a.example/: the URL of the certificate is",
            ),
            (["--passport-host", "https://c.example/"], "--passport-host https://c.example/ is no host: give its name"),
            (["--passport-host", "c.example:8443"], "--passport-host c.example:8443 is no host: give its name"),
            (["--trusted-identity", "*.example"], "--trusted-identity '*.example': a trusted peer is named exactly"),
        ):
            error = self.assertRaises(usage.UsageError, self.read, *given)
            self.assertTrue(str(error).startswith(expected), str(error))

    def make(self, key: Any, *given: str) -> Any:
        """The service's party with these options."""
        folder = Path(self.mktemp())
        authority = CertificateAuthority.create()
        trust = authority.write(folder)
        authority.issue("a.example", key=key).write(folder)
        options = Options()
        options.parseOptions(
            ["--uri", "sip:alice@a.example", "--certificate", str(folder / "a.example.pem"), "--trust", str(trust)]
            + [each.replace("TRUST", str(trust)) for each in given]
        )
        network = Network()
        self.addCleanup(network.finish)
        return make_party(network.host(), options, is_clear_text=False)

    def test_a_party(self) -> None:
        """The service's party signs, judges and believes as it was told to."""
        judging = ("--passports", "require", "--passport-trust", "TRUST")
        party = self.make(None, "--passport-url", URL, *judging, "--trusted-identity", "b.example")
        self.addCleanup(party.manager.terminate)
        endpoint = party.endpoint
        self.assertEqual(repr(endpoint.passport_signer), f"<PassportSigner a.example {URL}>")
        self.assertEqual(endpoint.passport_verifier.policy, "require")
        self.assertEqual(endpoint.trust_domain.names, {"b.example"})

    def test_a_key_of_another_kind(self) -> None:
        """A key that cannot sign is told when the service starts."""
        key = ec.generate_private_key(ec.SECP384R1())
        error = self.assertRaises(usage.UsageError, self.make, key, "--passport-url", URL)
        self.assertIn("ES256 needs a certificate with a key of curve P-256", str(error))
