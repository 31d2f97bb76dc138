"""``--check``: every finding has its line, and the verdict follows from them."""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import shutil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.diagnosis.check import check
from sip_p2p.service.diagnosis.findings import Report
from sip_p2p.service.settings.options import Options
from tests.service.support import keys, parsed
from tests.support import SynchronousTestCase

URI = ("--uri", "sip:alice@a.example")


def identity(name: str = "a.example.pem") -> tuple[str, ...]:
    """A URI with a certificate and an authority."""
    return (*URI, "--certificate", str(keys() / name), "--trust", str(keys() / "ca.pem"))


class CheckTests(SynchronousTestCase):
    """row:M14: everything is looked at and explained."""

    def assert_finds(self, report: Report, passed: bool, *lines: str) -> None:
        """Fail unless the verdict is *passed* and each of *lines* begins one of the findings."""
        found = report.text.splitlines()
        for line in lines:
            self.assertTrue(any(each.startswith(line) for each in found), f"{line!r} is not in\n{report.text}")
        self.assertEqual(report.passed, passed, report.text)
        self.assertEqual(found[-1], "It would start." if passed else "It would not work: see what is WRONG.")
        self.assertEqual(any(each.startswith("WRONG") for each in found), not passed)

    def test_how_peers_are_known(self) -> None:
        """row:M14: pins, first use, revocation lists, certificates by name and who may send under any From are told,
        and what is wrong with their files."""
        folder = self.mktemp()
        os.mkdir(folder)
        pin = "sha256/" + "A" * 43 + "="
        mine = (*identity(), "--listen", "tls:port=0", "--allow", "b.example")
        self.assert_finds(
            check(
                parsed(
                    *mine, "--pin", f"b.example={pin}", "--first-use", os.path.join(folder, "known"),
                    "--server-certificate", f"b.example={keys() / 'b.example.pem'}", "--trusted-proxy", "p.example",
                )
            ),
            True,
            "ok    pin: only with their pinned keys: b.example",
            "note  first-use: everybody is believed at the first meeting",
            "ok    server-certificate: who asks for one of these is shown its own: b.example",
            "note  from: may send under any From: p.example",
        )  # fmt: skip
        self.assert_finds(check(parsed(*mine, "--allow-any-from")), True, "note  from: every peer may send")
        self.assert_finds(check(parsed(*mine, "--crl", folder)), False, "WRONG crl: there is no list in ")
        self.assert_finds(check(parsed(*mine, "--crl", "/there/is/none")), False, "WRONG files: the revocation list ")
        alone = (*identity()[:4], "--listen", "tls:port=0", "--pin", f"b.example={pin}", "--allow", "b.example")
        self.assert_finds(check(parsed(*alone)), True, "ok    listen: tls:port=0 is TLS")

    def test_how_peers_are_found_and_kept(self) -> None:
        """row:M14: name servers, addresses, pings, pools and every bound that is not the usual one are told."""
        self.assert_finds(
            check(parsed(*identity())),
            True,
            "ok    dns: names are looked up at the name servers of this machine",
            "ok    family: addresses: all",
            "ok    keep-alive: connections that you open are pinged every 120 s",
            "ok    pool: connections to one server: one",
            "ok    limit: all bounds are the usual ones",
        )
        report = check(
            parsed(
                *identity(), "--dns-server", "192.0.2.53", "--dns-server", "[2001:db8::53]:5353", "--resolve",
                "b.example=10.0.0.2", "--family", "v6", "--keep-alive", "off", "--pool-size", "3", "--pool-linger", "9",
                "--reconnect", "eager", "--limit", "idle_timeout=7", "--limit", "message.params=9",
                "--required-eku", "sipDomain", "--reload-interval", "0",
            )
        )  # fmt: skip
        self.assert_finds(
            report,
            True,
            "ok    dns: names are looked up at 192.0.2.53:53, [2001:db8::53]:5353",
            "note  resolve: not looked up are b.example: ",
            "note  family: addresses: v6",
            "note  keep-alive: off",
            "ok    pool: connections to one server: up to 3, used in turn, kept for 9 s after its last use",
            "note  reconnect: eager has no meaning without --proxy",
            "note  limit: idle_timeout is 7 (usually 120); message.params is 9 (usually 70)",
            "ok    required-eku: a peer's certificate must list sipDomain",
            "note  reload-interval: files that change are read anew only",
        )
        alone = check(parsed(*identity(), "--keep-alive", "0", "--pool-size", "none"))
        self.assert_finds(
            alone,
            True,
            "ok    keep-alive: connections that you open are pinged where the peer asks",
            "ok    pool: connections to one server: one for each request",
        )

    def test_everything_is_as_it_should_be(self) -> None:
        """row:M14: a good command line is explained line by line, and would start; nothing is made on the way."""
        folder = self.mktemp()
        options = parsed(
            *identity(), "--listen", "tls:port=0", "--allow", "b.example", "--proxy", "p.example:5061",
            "--trace", os.path.abspath("trace"), "--state", folder,
        )  # fmt: skip
        self.assert_finds(
            check(options),
            True,
            "ok    uri: sip:alice@a.example",
            f"ok    certificate: {keys() / 'a.example.pem'} and its key fit, and it is valid for 364 more days",
            "ok    names: the certificate proves a.example",
            "ok    trust: peers have to be vouched for by CN=authority in ",
            "ok    allow: may talk to you: b.example",
            "ok    listen: tls:port=0 is TLS",
            "ok    proxy: everything goes through p.example:5061 over TLS, which has to prove p.example",
            "ok    application: log takes MESSAGE",
            "ok    trace: ",
            "ok    state: ",
        )
        self.assertFalse(os.path.exists(folder) or os.path.exists("trace"))

    def test_what_is_only_worth_a_note(self) -> None:
        """Sending only, nobody allowed, clear text and kept secrets are told, and do not keep it from starting."""
        self.assert_finds(
            check(parsed(*identity(), "--trace", "trace", "--trace-with-secrets", "--proxy", "tcp:p.example")),
            True,
            "note  listen: nowhere",
            "note  trace: credentials and bodies are kept",
            "note  proxy: everything goes through p.example:5060 over TCP in clear text",
            "note  state: no --state",
        )
        self.assert_finds(
            check(parsed(*URI, "--listen", "udp:0")),
            True,
            "note  certificate: none, as all is clear text",
            "note  listen: udp:0 is clear text",
        )
        self.assert_finds(check(parsed(*identity(), "--listen", "tls:0")), True, "note  allow: only localhost")
        self.assert_finds(
            check(parsed(*identity(), "--listen", "tls:0:mutual=no", "--allow-any-authenticated")),
            True,
            "note  allow: everybody may talk to you in whose certificate",
            "note  listen: tls:0:mutual=no lets in who shows no certificate",
        )

    def test_certificates_near_and_past_their_end(self) -> None:
        """row:D16: the days that are left are told; a few are a note, none is wrong, and so is one not valid yet."""
        now = datetime.datetime.now(datetime.UTC)
        soon = now + datetime.timedelta(days=360)
        self.assert_finds(check(parsed(*identity()), soon), True, "note  certificate: ")
        self.assertIn("valid for 4 more days", check(parsed(*identity()), soon).text)
        late = now + datetime.timedelta(days=4000)
        self.assert_finds(
            check(parsed(*identity()), late),
            False,
            f"WRONG certificate: {keys() / 'a.example.pem'} has expired on ",
            "note  trust: CN=authority in ",
            "WRONG trust: every authority has expired",
        )
        early = now - datetime.timedelta(days=2)
        self.assert_finds(
            check(parsed(*identity()), early), False, f"WRONG certificate: {keys() / 'a.example.pem'} is not"
        )

    def test_names(self) -> None:
        """row:D11: a certificate for another domain is wrong for who listens, and a note for who has a proxy."""
        self.assert_finds(
            check(parsed(*identity("b.example.pem"), "--listen", "tls:0")),
            False,
            "WRONG names: the certificate proves b.example and not a.example",
        )
        self.assert_finds(
            check(parsed(*identity("b.example.pem"), "--proxy", "p.example")),
            True,
            "note  names: the certificate proves",
        )

    def test_files(self) -> None:
        """Missing, mismatched and damaged files are named, all of them in one go."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "damaged.pem").write_bytes(b"nonsense")
        other = ec.generate_private_key(ec.SECP256R1())
        stranger = CertificateAuthority.create("x").issue("a.example", key=other)
        (folder / "key.pem").write_bytes(stranger.key_pem)
        (folder / "key.pem").chmod(0o644)
        damaged, missing = str(folder.absolute() / "damaged.pem"), str(folder / "missing.pem")
        ours = str(keys() / "a.example.pem")
        for arguments, lines in (
            (
                ("--certificate", missing, "--trust", missing),
                ("WRONG certificate: the cert", "WRONG trust: the trusted"),
            ),
            (
                ("--certificate", damaged, "--trust", damaged),
                (f"WRONG certificate: {damaged} holds no", "WRONG trust: "),
            ),
            (
                ("--certificate", ours, "--private-key", str(folder / "key.pem")),
                ("WRONG certificate: the private key",),
            ),
            (
                ("--listen", "tls:0"),
                ("WRONG certificate: --certificate is missing", "WRONG listen: tls:0 needs a cert"),
            ),
            (("--certificate", ours), ("WRONG trust: --trust is missing",)),
        ):
            with self.subTest(arguments):
                self.assert_finds(check(parsed(*URI, *arguments)), False, *lines)

    def test_a_key_that_others_can_read(self) -> None:
        """fault:J10: a key that is not its owner's alone is a note with the remedy."""
        path = Path(self.mktemp())
        shutil.copy(keys() / "a.example.pem", path)
        path.chmod(0o644)
        report = check(parsed(*URI, "--certificate", str(path), "--trust", str(keys() / "ca.pem")))
        self.assert_finds(report, True, f"note  private key: {path.absolute()} can be read by others (mode 0644)")

    def test_another_authority(self) -> None:
        """A certificate that none of the trusted authorities has issued works, and may surprise."""
        arguments = ("--certificate", str(keys() / "other" / "a.example.pem"), "--trust", str(keys() / "ca.pem"))
        self.assert_finds(check(parsed(*URI, *arguments)), True, "note  trust: your own certificate was issued by none")

    def test_the_rest(self) -> None:
        """Descriptions, applications, trace and state are looked at without being used."""
        file = Path(self.mktemp())
        file.write_bytes(b"")
        self.assert_finds(
            check(
                parsed(
                    *identity(),
                    "--listen",
                    "tls:port=x",
                    "--listen",
                    "tls:0:certKey=none.pem",
                    "--listen",
                    "what:1",
                    "--application",
                    "nothing",
                    "--trace",
                    self.mktemp() + "/missing/trace",
                    "--state",
                    str(file),
                )
            ),
            False,
            "WRONG listen: cannot listen on 'tls:port=x'",
            "WRONG listen: cannot listen on 'tls:0:certKey=none.pem'",
            "WRONG listen: cannot listen on 'what:1'",
            "WRONG application: nothing is none of ",
            "WRONG trace: ",
            "WRONG state: ",
        )

    def test_a_certificate_in_the_description(self) -> None:
        """What a description says of our certificate is looked at as well."""
        folder = keys()
        description = f"tls:0:certKey={folder}/a.example.pem:trustRoots={folder}/ca.pem"
        self.assert_finds(
            check(parsed(*URI, "--listen", description)), True, "ok    names: the certificate proves a.ex"
        )

    def test_the_option_leaves(self) -> None:
        """row:M14: ``--check`` prints the findings and leaves, with 0 or 1."""
        for arguments, code in ((identity(), 0), (URI, 1)):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                left = self.assertRaises(SystemExit, Options().parseOptions, [*arguments, "--check"])
            self.assertEqual(left.code, code)
            self.assertIn("\nIt would ", printed.getvalue())

    def test_lines_are_printable(self) -> None:
        """fault:B4: what stands in a file name cannot drive the terminal."""
        report = check(parsed(*URI, "--certificate", "x\x1b[2J", "--trust", "y\n"))
        self.assertTrue(all(line.isprintable() for line in report.text.splitlines()))
        self.assertFalse(report.passed)
