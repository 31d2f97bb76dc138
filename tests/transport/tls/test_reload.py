"""Files that change: when they are read, and what becomes of those that cannot be used."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.pki import IssuedCertificate
from sip_p2p.transport.tls.reload import Reloader, Watched, watched_parts
from sip_p2p.transport.tls.server_names import ServerNames
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.revocation import Revocation
from tests.support import SynchronousTestCase
from tests.transport.revoked import crl, pem
from tests.transport.tls_pairs import ANY, TlsPair, anchors, authority, other_authority, rsa_key, settings

Reason = TlsFailureReason


class ReloadTestCase(SynchronousTestCase):
    """A party whose certificate and key are two files, on one clock."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.certificate, self.key = self.folder / "b.crt", self.folder / "b.key"
        self.first = self.put(authority().issue("b.example"))
        self.clock = Clock()
        self.settings = TlsSettings(Credential.from_files(self.certificate, self.key), anchors(), ANY)
        self.reloader = Reloader(self.clock)
        self.reloader.watch(watched_parts(self.settings))
        self.reloader.start()
        self.addCleanup(self.reloader.stop)

    def put(self, issued: IssuedCertificate, *, certificate: bool = True, key: bool = True) -> IssuedCertificate:
        """Replace the files, or one of them."""
        if certificate:
            self.replace(self.certificate, issued.certificate_pem)
        if key:
            self.replace(self.key, issued.key_pem)
        return issued

    def replace(self, path: Path, data: bytes) -> None:
        """Put a new file in the place of one, as renewal programs do."""
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(data)
        fresh.chmod(0o600)
        fresh.replace(path)

    def shown(self, listener: TlsSettings | None = None, name: str = "b.example") -> Any:
        """The certificate that a caller is shown."""
        pair = TlsPair(settings("a.example"), listener or self.settings, name).run()
        self.assertEqual(pair.client.events, ["made", "verified"])
        return pair.client.transport.verified.certificate

    def log(self) -> list[str]:
        """What has been logged as a warning up to now."""
        return [formatEvent(event) for event in self.events if event["log_level"].name == "warn"]

    def listen_to_log(self) -> None:
        """Remember what is logged."""
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)


class WatchTests(ReloadTestCase):
    """The certificate and key of a listener and dialler."""

    def test_renewed(self) -> None:
        """A renewed certificate is used by the handshakes that follow, out and in; open connections live on. fault:F13
        row:D2"""
        standing = TlsPair(settings("a.example"), self.settings).run()
        renewed = self.put(authority().issue("b.example"))
        self.assertEqual(self.shown(), self.first.certificate)
        self.clock.advance(10)
        self.clock.advance(1)
        self.assertEqual(self.shown(), renewed.certificate)
        dialled = TlsPair(self.settings, settings("a.example"), "a.example").run()
        self.assertEqual(dialled.server.transport.verified.certificate, renewed.certificate)
        standing.client.transport.write(b"still here")
        self.assertEqual(standing.run().server.heard, b"still here")
        self.assertEqual(self.reloader.reloads, 1)

    def test_names_that_are_gone(self) -> None:
        """A certificate for fewer names is used, and the log says which name it proves no more. fault:F13"""
        self.listen_to_log()
        self.put(authority().issue("b.example", "c.example"))
        self.reloader.reload()
        self.assertEqual(self.log(), [])
        self.put(authority().issue("c.example"))
        self.reloader.reload()
        [said] = self.log()
        self.assertIn("proves b.example no more", said)

    def test_waits_for_the_pair(self) -> None:
        """While files change, and between the certificate and its key, the old pair is in use, and nothing is said.
        fault:F13"""
        self.listen_to_log()
        renewed = authority().issue("b.example")
        self.put(renewed, key=False)
        self.clock.advance(10)
        self.put(renewed, certificate=False)
        self.clock.advance(1)
        self.assertEqual(self.shown(), self.first.certificate)
        self.clock.advance(1)
        self.assertEqual(self.shown(), renewed.certificate)
        self.assertEqual(self.log(), [])

    def test_broken(self) -> None:
        """What does not fit, is cut off, expired or gone changes nothing and is said once; what comes next is used.
        fault:F13"""
        other = authority().issue("b.example")
        expired = authority().issue("b.example", days=2, not_before=_ago(9), not_after=_ago(1))
        weak = authority().issue("b.example", key=rsa_key(1024))
        for break_it, expected in (
            (lambda: self.put(other, key=False), "belong together"),
            (lambda: self.replace(self.certificate, self.first.certificate_pem[:200]), "damaged"),
            (lambda: self.replace(self.certificate, b""), "holds no PEM certificate"),
            (lambda: self.put(expired), "has expired"),
            (lambda: self.put(weak), "OpenSSL cannot use"),
            (self.key.unlink, "cannot be read"),
        ):
            self.listen_to_log()
            break_it()
            for _ in range(5):
                self.clock.advance(10)
            self.assertEqual(self.shown(), self.first.certificate)
            self.assertEqual(len(self.log()), 1, self.log())
            self.assertIn(expected, self.log()[0])
            self.assertEqual(len(self.reloader.troubles), 1)
            self.put(self.first)
            self.clock.pump([10, 1, 10])
            self.assertEqual(self.reloader.troubles, [])
        self.assertEqual(self.reloader.reloads, 0)

    def test_touched(self) -> None:
        """Files that are written anew with the same contents are no change."""
        before = self.settings.credential
        self.put(self.first)
        self.clock.pump([10, 1, 10])
        self.assertIs(self.settings.credential, before)
        self.assertEqual(self.reloader.reload(), [])

    def test_symbolic_links(self) -> None:
        """Renewal by swapping a link, of a file or of its folder, is seen. fault:F13"""
        folders = []
        for number in range(3):
            folder = self.folder / f"live{number}"
            authority().issue("b.example").write(folder)
            folders.append(folder)
        data, link = self.folder / "..data", self.folder / "tls.pem"
        data.symlink_to(folders[0].name)
        link.symlink_to("..data/b.example.pem")
        listener = TlsSettings(Credential.from_files(link), anchors(), ANY)
        self.reloader.watch(watched_parts(listener))
        fresh = self.folder / ".fresh"
        for number in (1, 2):
            fresh.symlink_to(folders[number].name)
            fresh.replace(data)
            self.clock.pump([10, 1])
            expected = Credential.from_files(folders[number] / "b.example.pem").certificate
            self.assertEqual(self.shown(listener), expected)

    def test_written_in_place(self) -> None:
        """A file that is written over, not replaced, is seen as well."""
        renewed = authority().issue("b.example")
        self.certificate.write_bytes(renewed.certificate_pem)
        self.key.write_bytes(renewed.key_pem)
        # Some file systems count time in whole seconds.
        os.utime(self.key, (1, 1))
        self.clock.pump([10, 1])
        self.assertEqual(self.shown(), renewed.certificate)

    def test_told(self) -> None:
        """When told to, everything is read at once, and what changed is named. fault:F13"""
        self.assertEqual(self.reloader.reload(), [])
        renewed = self.put(authority().issue("b.example"))
        changes = self.reloader.reload()
        self.assertEqual(len(changes), 1)
        self.assertTrue(changes[0].startswith("certificate: <Credential b.example"), changes)
        self.assertEqual(self.shown(), renewed.certificate)

    def test_replaced_by_hand(self) -> None:
        """After another certificate was set, its files are watched, and the old ones no more. row:D2"""
        path = authority().issue("b.example").write(self.folder / "other")
        self.settings.replace(credential=Credential.from_files(path))
        self.put(authority().issue("b.example"))
        self.clock.pump([10, 1, 10])
        self.assertEqual(self.reloader.reloads, 0)
        path.unlink()
        renewed = authority().issue("b.example")
        renewed.write(self.folder / "other")
        self.clock.pump([10, 1])
        self.assertEqual(self.shown(), renewed.certificate)


class OtherFilesTests(ReloadTestCase):
    """Authorities, revocation lists and certificates by name."""

    def test_authorities(self) -> None:
        """Another authority in the file is trusted from then on, and one that is gone is not. fault:F13 fault:F9"""
        path = self.folder / "ca.pem"
        path.write_bytes(authority().pem)
        judge = TlsSettings(self.settings.credential, TrustAnchors.from_files(path), ANY)
        self.reloader.watch(watched_parts(judge))
        caller = settings("a.example")
        self.assertEqual(TlsPair(caller, judge).run().server.events, ["made", "verified"])
        path.write_bytes(other_authority().pem)
        self.clock.pump([10, 1])
        self.assertEqual(TlsPair(caller, judge).run().server.failure.reason, Reason.UNTRUSTED_REMOTE_CERTIFICATE)
        path.write_bytes(b"")
        self.clock.pump([10, 1])
        self.assertEqual(judge.trust.certificates, (other_authority().certificate,))
        path.write_bytes(other_authority().pem + authority().pem)
        self.clock.pump([10, 1])
        self.assertEqual(TlsPair(caller, judge).run().server.events, ["made", "verified"])

    def test_revocation(self) -> None:
        """A list that comes to name a caller keeps it out from then on, without a restart. fault:F7 row:D17"""
        path = self.folder / "ca.crl"
        path.write_bytes(pem(crl()))
        revocation = Revocation.from_files(path, mode="hard")
        judge = TlsSettings(self.settings.credential, anchors(), ANY, revocation=revocation)
        self.reloader.watch(watched_parts(judge))
        caller = settings("a.example")
        self.assertEqual(TlsPair(caller, judge).run().server.events, ["made", "verified"])
        assert caller.credential is not None
        self.replace(path, pem(crl([caller.credential.certificate])))
        self.clock.pump([10, 1])
        self.assertEqual(TlsPair(caller, judge).run().server.failure.reason, Reason.REMOTE_CERTIFICATE_REVOKED)
        self.replace(path, b"half a lis")
        self.clock.pump([10, 1])
        self.assertEqual(TlsPair(caller, judge).run().server.failure.reason, Reason.REMOTE_CERTIFICATE_REVOKED)

    def test_names(self) -> None:
        """A certificate that comes into the folder answers for its name. row:D26"""
        folder = self.folder / "names"
        authority().issue("c.example").write(folder)
        names = ServerNames.from_files(folder)
        listener = TlsSettings(self.settings.credential, anchors(), ANY, server_certificates=names)
        self.reloader.watch(watched_parts(listener))
        added = authority().issue("d.example")
        added.write(folder)
        self.clock.pump([10, 1])
        self.assertEqual(self.shown(listener, "d.example"), added.certificate)


class ReloaderTests(ReloadTestCase):
    """What looks."""

    def test_one_timer(self) -> None:
        """There is one delayed call, and none when it has been stopped. fault:J2"""
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.reloader.start()
        self.clock.advance(10)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.reloader.stop()
        self.reloader.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_never(self) -> None:
        """0 looks only when told to; less than that is a mistake."""
        idle = Reloader(self.clock, 0)
        idle.watch(watched_parts(self.settings))
        self.reloader.stop()
        idle.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.put(authority().issue("b.example"))
        self.assertEqual(len(idle.reload()), 1)
        for interval in (-1, float("nan")):
            self.assertRaises(ValueError, Reloader, self.clock, interval)

    def test_unwatched(self) -> None:
        """What is not watched any more is not read any more."""
        parts = watched_parts(self.settings)
        reloader = Reloader(self.clock)
        reloader.watch(parts)
        reloader.unwatch(parts)
        reloader.unwatch(parts)
        self.put(authority().issue("b.example"))
        self.assertEqual(reloader.reload(), [])

    def test_failure(self) -> None:
        """A part that breaks down leaves the others alone, and the looking goes on."""

        class _Breaks:
            content = 1
            files = (self.certificate,)

            def read_again(self) -> None:
                raise RuntimeError("broken")

        def refuse(_: object) -> None:
            raise TlsFailure(Reason.OTHER)

        self.reloader.unwatch(list(self.reloader._watched))
        self.reloader.watch([Watched("broken", _Breaks, refuse), *watched_parts(self.settings)])
        renewed = self.put(authority().issue("b.example"))
        self.clock.pump([10, 1])
        self.assertEqual(self.shown(), renewed.certificate)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_trouble_that_passes(self) -> None:
        """What could not be used for a reason beside its files, such as a certificate that becomes valid in a minute or
        too few descriptors, is tried again with each look, and the log says each trouble once. fault:F13"""

        class _Part:
            files = (self.certificate,)
            trouble = ""

            def __init__(self, content: int) -> None:
                self.content = content

            def read_again(self) -> _Part:
                if self.trouble:
                    raise ValueError(self.trouble)
                return _Part(2)

        source = _Part(1)
        put: list[_Part] = []
        watched = Watched("part", lambda: source, put.append)
        self.reloader.unwatch(list(self.reloader._watched))
        self.reloader.watch([watched])
        self.listen_to_log()
        source.trouble = "not valid before noon"
        self.put(authority().issue("b.example"))
        self.clock.pump([10, 1, 10, 10, 10])
        self.assertEqual((put, self.reloader.troubles, len(self.log())), ([], ["part: not valid before noon"], 1))
        source.trouble = "too many open files"
        self.clock.pump([10, 10])
        self.assertEqual((put, len(self.log())), ([], 2))
        source.trouble = ""
        self.clock.advance(10)
        self.assertEqual(([each.content for each in put], self.reloader.troubles), ([2], []))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_objects(self) -> None:
        """What was not read from files is not watched."""
        loose = Reloader(self.clock)
        loose.watch(watched_parts(settings("a.example")))
        self.assertEqual(loose.reload(), [])


def _ago(days: int) -> Any:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
