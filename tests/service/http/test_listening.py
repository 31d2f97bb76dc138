"""Where the API listens, and where it does not."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory

from sip_p2p.service.http.listening import Place, is_private_port, listen_at
from tests.support import SynchronousTestCase, TestCase, reactor


class PlaceTests(SynchronousTestCase):
    """What a text means."""

    def test_short_forms(self) -> None:
        """A port alone is loopback's; an address is taken as it stands."""
        for text, host, port in (
            ("8080", "127.0.0.1", 8080),
            ("0", "127.0.0.1", 0),
            ("127.0.0.1:8080", "127.0.0.1", 8080),
            ("localhost:8080", "127.0.0.1", 8080),
            ("[::1]:8080", "::1", 8080),
            ("tcp:8080:interface=127.0.0.1", "127.0.0.1", 8080),
            ("tcp:127.0.0.1:8080", "127.0.0.1", 8080),
            ("tcp:8080:interface=\\:\\:1", "::1", 8080),
        ):
            place = Place.parse(text)
            self.assertEqual((place.kind, place.host, place.port, place.is_private), ("tcp", host, port, True), text)

    def test_unix(self) -> None:
        """A Unix socket is its owner's alone, unless its mode says otherwise."""
        place = Place.parse("unix:/run/a\\:b.sock")
        self.assertEqual((place.path, place.mode, place.is_private), ("/run/a:b.sock", 0o600, True))
        self.assertTrue(Place.parse("unix:/run/a.sock:mode=660").is_private)
        self.assertFalse(Place.parse("unix:/run/a.sock:mode=0666").is_private)

    def test_nonsense(self) -> None:
        """What means nothing is refused."""
        for text in (
            "",
            "udp:8080",
            "ssl:8080",
            "nowhere:8080",
            "70000",
            "1.2.3:80",
            "tcp:8080:interface=a.example",
            "tcp:1:2:3",
            "unix:relative.sock",
            "unix:/a.sock:mode=9",
            "unix:/a.sock:mode=7777",
            "unix:/a.sock:lockfile=0",
            "unix:/" + "a" * 120,
            "systemd:",
            "systemd:name=a:index=1",
            "tls:port=1:nothing=2",
            "tls:port=1:mutual=perhaps",
        ):
            with self.assertRaises(ValueError, msg=text):
                Place.parse(text).check(has_token=True, allow=(), may_be_clear=False)

    def test_who_reaches_it(self) -> None:
        """row:M14: what others reach needs a token or certificates, and a token needs TLS on its way."""
        for text, has_token, allow, may_be_clear, words in (
            ("8080", False, (), False, ""),
            ("unix:/a.sock:mode=660", False, (), False, ""),
            ("unix:/a.sock:mode=666", False, (), False, "--http-token-file"),
            ("unix:/a.sock:mode=666", True, (), False, ""),
            ("tcp:8080", False, (), False, "--http-token-file"),
            ("tcp:8080", False, (), True, "--http-token-file"),
            ("192.0.2.1:8080", True, (), False, "--http-allow-clear-text"),
            ("192.0.2.1:8080", True, (), True, ""),
            ("tcp:8080:interface=\\:\\:", True, (), False, "--http-allow-clear-text"),
            ("tls:8443", False, (), False, "--http-token-file"),
            ("tls:8443", True, (), False, ""),
            ("tls:8443", False, ("ops.example",), False, ""),
            ("tls:8443:allow=ops.example", False, (), False, ""),
            ("tls:8443:mutual=no", False, ("ops.example",), False, "--http-token-file"),
            ("tls:8443:mutual=yes", True, (), False, "--http-allow"),
        ):
            place = Place.parse(text)
            if words:
                with self.assertRaises(ValueError) as caught:
                    place.check(has_token, allow, may_be_clear)
                self.assertIn(words, str(caught.exception), text)
            else:
                place.check(has_token, allow, may_be_clear)


class ListenTests(TestCase):
    """Real sockets."""

    async def test_unix(self) -> None:
        """The socket has its permissions before anybody can connect, and a stale one is replaced."""
        folder = tempfile.mkdtemp(dir="/tmp", prefix="sip-p2p-")
        self.addCleanup(os.rmdir, folder)
        path = os.path.join(folder, "s")
        manager: Any = None
        for _ in range(2):
            port = await listen_at(Place.parse(f"unix:{path}"), reactor, Factory(), manager, ())
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.assertTrue(is_private_port(port))
            await port.stopListening()
            self.assertFalse(os.path.exists(path))

    async def test_remains(self) -> None:
        """What a process that was killed has left is replaced, even where another process has its number by now; a
        socket on which somebody listens is not, and neither is a file."""
        folder = tempfile.mkdtemp(dir="/tmp", prefix="sip-p2p-")
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "s")
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(path)
        os.symlink(str(os.getpid()), f"{path}.lock")
        manager: Any = None
        place = Place.parse(f"unix:{path}")
        port = await listen_at(place, reactor, Factory(), manager, ())
        with self.assertRaises(CannotListenError):
            await listen_at(place, reactor, Factory(), manager, ())
        self.assertTrue(os.path.exists(path))
        await port.stopListening()
        Path(path).write_text("kept", "ascii")
        with self.assertRaises(ValueError):
            await listen_at(place, reactor, Factory(), manager, ())
        self.assertEqual(Path(path).read_text("ascii"), "kept")

    async def test_tcp(self) -> None:
        """A port of loopback is this machine's alone."""
        manager: Any = None
        port: Any = await listen_at(Place.parse("0"), reactor, Factory(), manager, ())
        self.assertEqual(port.getHost().host, "127.0.0.1")
        self.assertTrue(is_private_port(port))
        await port.stopListening()
