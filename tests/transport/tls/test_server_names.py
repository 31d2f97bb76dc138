"""Which certificate a caller is shown for the name that it asks for."""

from __future__ import annotations

from pathlib import Path

from sip_p2p.errors import TlsFailure
from sip_p2p.transport.tls.server_names import ServerNames
from sip_p2p.transport.trust.credential import Credential
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import authority, party_credential


class ServerNamesTests(SynchronousTestCase):
    """Names and their credentials."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def test_asked_for(self) -> None:
        """A name is found without regard to case and final dot; everything else has no certificate of its own."""
        own = party_credential("b.example")
        names = ServerNames({"B.example": own, "bücher.example": own})
        for asked in (b"b.example", b"B.EXAMPLE.", b"xn--bcher-kva.example"):
            self.assertIs(names.asked_for(asked), own)
        for asked in (None, b"", b"c.example", b"a.b.example", b"10.0.0.1", b"::1", b"\xff", b"b.example\0", b"*"):
            self.assertIsNone(names.asked_for(asked), asked)
        self.assertIsNone(ServerNames().asked_for(b"b.example"))
        self.assertEqual((list(names), len(names)), (["b.example", "xn--bcher-kva.example"], 2))
        self.assertEqual(repr(ServerNames()), "<ServerNames: none>")

    def test_no_names(self) -> None:
        """An address cannot be asked for by name, and what is no name at all neither."""
        for name in ("10.0.0.1", "::1", "sip:b.example"):
            self.assertRaises(ValueError, ServerNames, {name: party_credential("b.example")})

    def test_folder(self) -> None:
        """From a folder every certificate is taken that has its key beside it, under every domain that it proves."""
        authority().issue("b.example", "c.example").write(self.folder)
        authority().issue("d.example").write(self.folder)
        (self.folder / "ca.pem").write_bytes(authority().pem)
        (self.folder / "readme").write_text("nothing")
        names = ServerNames.from_files(self.folder)
        self.assertEqual(sorted(names), ["b.example", "c.example", "d.example"])
        self.assertIs(names["b.example"], names["c.example"])
        self.assertEqual(names.files, (self.folder,))

    def test_mistakes(self) -> None:
        """What is of no use is refused with the name of the file."""
        twice = authority().issue("b.example").write(self.folder)
        again = self.folder / "copy.pem"
        again.write_bytes(authority().issue("b.example").pem)
        again.chmod(0o600)
        error = self.assertRaises(ValueError, ServerNames.from_files, self.folder)
        self.assertIn(str(twice), str(error))
        self.assertIn("b.example", str(error))
        address = authority().issue("10.0.0.1").write(self.folder)
        self.assertIn("proves no domain", str(self.assertRaises(ValueError, ServerNames.from_files, address)))
        missing = self.folder / "missing.pem"
        self.assertIn(str(missing), str(self.assertRaises(ValueError, ServerNames.from_files, missing)))

    def test_read_again(self) -> None:
        """Folders are read again whole; of single credentials those that came from files. fault:F13"""
        path = authority().issue("b.example").write(self.folder)
        whole = ServerNames.from_files(self.folder)
        apart = ServerNames({"b.example": Credential.from_files(path), "c.example": party_credential("c.example")})
        self.assertEqual(apart.files, (path,))
        self.assertEqual((whole.content, apart.content), (whole.read_again().content, apart.read_again().content))
        authority().issue("b.example").write(self.folder, replace=True)
        authority().issue("d.example").write(self.folder)
        self.assertEqual(list(whole.read_again()), ["b.example", "d.example"])
        self.assertNotEqual(apart.content, apart.read_again().content)
        path.write_text("broken")
        self.assertRaises(TlsFailure, apart.read_again)
