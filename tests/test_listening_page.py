"""What docs/listening.rst shows works as it stands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sip_p2p.pki import CertificateAuthority
from sip_p2p.testing import Network
from sip_p2p.transport.listening.descriptions import listening_endpoint
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from tests.manual import ROOT, blocks
from tests.support import SynchronousTestCase

PAGE = ROOT / "docs" / "listening.rst"


class PageTests(SynchronousTestCase):
    """Every description, and every program."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.authority = CertificateAuthority.create()
        self.authority.write(self.folder)
        self.issued = self.authority.issue("alice")
        self.issued.write(self.folder)
        before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)

    def test_descriptions(self) -> None:
        """Each description is one; those of systemd lack nothing but the socket (row:C12, row:C13, row:C15)."""
        settings = TlsSettings(Credential.from_pem(self.issued.pem), TrustAnchors.from_pem(self.authority.pem))
        host = Network().host("192.0.2.7")
        shown = [line for block in blocks(PAGE, "text") for line in block.splitlines()]
        self.assertGreater(len(shown), 12)
        for description in shown:
            if "systemd" in description:
                error = self.assertRaises(ValueError, listening_endpoint, host, description, settings)
                self.assertIn("was passed to this process", str(error))
            else:
                endpoint = listening_endpoint(host, description, settings)
                self.assertIn(endpoint.transport.lower(), description)

    def test_programs(self) -> None:
        """Each program makes its manager."""
        for block in blocks(PAGE, "python"):
            names: dict[str, Any] = {"reactor": Network().host("192.0.2.8")}
            exec(block, names)
            names["manager"].terminate()
