"""The commands of docs/cli.rst and docs/doctor.rst, and that of OpenSSL in docs/trust.rst, work as they stand there."""

from __future__ import annotations

import shutil
import textwrap

from cryptography import x509
from twisted.trial.unittest import SkipTest

from sip_p2p.transport.trust.pins import pin_of
from tests.manual import ROOT, blocks, commands
from tests.pages import PageCase


class CommandTests(PageCase):
    """A party of each page, whom the page's commands reach."""

    page_ports = ("5061",)

    async def run_party(self, name: str) -> None:
        """Somebody with the certificate of *name* listens where the pages say."""
        listening = self.start(
            f"twistd -n sip-p2p --uri sip:bob@{name} --certificate keys/{name}.pem --trust keys/ca.pem "
            f"--allow a.example --allow localhost --listen tls:port=5061 --application echo"
        )
        await listening.find('"event": "started"')

    async def test_the_first_party(self) -> None:
        """row:M14: the first command of the page on commands is a party that listens."""
        await self.done("sip-p2p pki keys a.example b.example")
        party = self.start(commands(ROOT / "docs/cli.rst")[0])
        await party.find("listens on tls")

    async def test_a_call(self) -> None:
        """A call as the page makes it is answered, and ended."""
        await self.done("sip-p2p pki keys localhost")
        await self.run_party("localhost")
        (call,) = (words for words in commands(ROOT / "docs/cli.rst") if words[:2] == ["sip-p2p", "call"])
        self.assertIn("hanging up", await self.done(call))

    async def test_the_doctor(self) -> None:
        """Both patients of the page are well: a peer that is where DNS would say, and a listener of one's own."""
        await self.done("sip-p2p pki keys a.example b.example")
        peer, listener = commands(ROOT / "docs/doctor.rst")
        self.assertIn("Nothing is wrong.", await self.done(listener))
        await self.run_party("b.example")
        said = await self.done([*peer, "--resolve", f"b.example=127.0.0.1:{self.ports['5061']}"])
        self.assertIn("Nothing is wrong.", said)

    async def test_a_pin_by_openssl(self) -> None:
        """OpenSSL makes the pin that ``pin_of`` makes."""
        if shutil.which("openssl") is None:
            raise SkipTest("openssl is not installed")
        await self.done("sip-p2p pki keys b.example")
        (script,) = (text for text in blocks(ROOT / "docs/trust.rst", "sh") if "openssl" in text)
        shell = self.shell(textwrap.dedent(script))
        self.assertEqual(await shell.ended(), 0, shell.report())
        (certificate, *_) = x509.load_pem_x509_certificates((self.folder / "keys/b.example.pem").read_bytes())
        self.assertIn(pin_of(certificate).removeprefix("sha256/"), shell.text)
