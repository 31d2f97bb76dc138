"""What SIGHUP takes over of a changed file."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet.threads import deferToThread

from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.errors import SipError
from sip_p2p.service.assembly import make
from sip_p2p.service.parts import Part
from sip_p2p.service.settings.option_table import option_table
from sip_p2p.service.settings.options import Options
from sip_p2p.service.settings.reconfiguration import RELOADED, Reconfiguration
from sip_p2p.testing import Network
from sip_p2p.transport.dns.resolver import StaticResolver
from tests.service.support import TWISTD, Process, keys
from tests.service.test_operations import LISTEN, ProcessCase
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from sip_p2p.service.service import SipService

PIN = "sha256/" + "A" * 43 + "="


def identity() -> str:
    """Alice's name and certificate, for a file."""
    return f'uri = "sip:alice@a.example"\ncertificate = "{keys() / "a.example.pem"}"\ntrust = "{keys() / "ca.pem"}"\n'


class _Taker(Part):
    """A part that takes over an option of its own."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, frozenset[str]]] = []

    def configure(self, options: Options, changed: frozenset[str]) -> set[str]:
        """Take the application's type of answer."""
        self.told.append((options["answer-type"], changed))
        return {"answer-type"}


class ReconfigurationTests(SynchronousTestCase):
    """row:M15: the file is followed as far as that can be."""

    def setUp(self) -> None:
        """Make a service with a file."""
        super().setUp()
        self.path = Path(self.mktemp()).absolute()
        self.service = self.made(identity())

    def made(self, file: str, *arguments: str) -> SipService:
        """A service of *file*, with its reconfiguration in :attr:`following`."""
        self.path.write_text(file)
        options = Options()
        options.environment = {}
        options.parseOptions(["--config", str(self.path), *arguments])
        service = make(Network().host(), options)
        self.addCleanup(service.manager.terminate)
        self.following = Reconfiguration(service, options)
        return service

    def tls(self) -> RealTimeServerTlsConnectionManager:
        """The connection manager."""
        assert isinstance(self.service.manager, RealTimeServerTlsConnectionManager)
        return self.service.manager

    def follow(self, file: str) -> list[str]:
        """Have the service follow *file*; what is said."""
        self.path.write_text(file)
        return self.following.reload()

    def test_nothing_has_changed(self) -> None:
        """Where the file says the same as before, or there is none, nothing is said."""
        self.assertEqual(self.follow("# another remark\n" + identity() + "drain = 5\n"), [])
        options = Options()
        options.environment = {}
        options.parseOptions(["--uri", "sip:alice@a.example", "--listen", "tcp:0"])
        self.assertEqual(Reconfiguration(self.service, options).reload(), [])

    def test_bounds_and_stops(self) -> None:
        """row:M15: bounds, the time of a stop and what it does with callers are others at once."""
        self.assertEqual(
            self.follow(identity() + "drain = 9\nfinish-sessions = 3\n[limits]\nidle_timeout = 7\n"),
            ["--drain, --finish-sessions, --limit as the file says now"],
        )
        self.assertEqual((self.tls().limits.idle_timeout, self.tls().limits.drain_timeout), (7, 9))
        self.assertEqual(self.follow(identity()), ["--drain, --finish-sessions, --limit as the file says now"])
        self.assertEqual((self.tls().limits.idle_timeout, self.tls().limits.drain_timeout), (120, 5))

    def test_who_may_talk_to_us(self) -> None:
        """row:M15: names, authorities, pins, proxies and purposes hold from the next handshake on."""
        manager = self.tls()
        self.assertEqual(
            self.follow(
                identity() + f'allow = ["b.example"]\npin = "c.example={PIN}"\ntrusted-proxy = "p.example"\n'
                'key-usage = "strict"\nrequired-eku = "sipDomain"\n'
            ),
            ["--allow, --key-usage, --pin, --required-eku, --trusted-proxy as the file says now"],
        )
        self.assertEqual(str(manager.policy), "b.example")
        self.assertEqual(sorted(manager.from_policy.trusted_proxies), ["p.example"])
        self.assertEqual(str(manager.tls_settings().usage), "strict with sipDomain")
        self.follow(identity() + "allow-any-authenticated = true\nallow-any-from = true\n")
        self.assertTrue(manager.policy.allows_any and manager.from_policy.allows_any)
        self.follow(identity())
        self.assertFalse(manager.policy.allows_any or manager.from_policy.allows_any)

    def test_certificates(self) -> None:
        """row:M15: another certificate, and others by name, are shown from the next handshake on."""
        manager = self.tls()
        other = keys() / "b.example.pem"
        said = self.follow(
            identity().replace("a.example.pem", "b.example.pem") + f'server-certificate = "b.example={other}"\n'
        )
        self.assertEqual(said, ["--certificate, --server-certificate as the file says now"])
        assert manager.credential is not None
        self.assertEqual(manager.credential.identities.identities, ("b.example",))
        self.assertEqual(list(manager.server_certificates), ["b.example"])
        revocation = Path(self.mktemp())
        revocation.mkdir()
        self.follow(identity() + f'crl = "{revocation.absolute()}"\n')
        self.assertIsNotNone(manager.revocation)

    def test_where_others_are_found(self) -> None:
        """row:M15: entries of --resolve, the host to advertise, pools and sessions to come are others at once."""
        said = self.follow(
            identity() + 'resolve = "b.example=127.0.0.1:7"\nadvertise = "other.example"\npool-size = 3\nmax-ring = 9\n'
        )
        self.assertEqual(said, ["--advertise, --max-ring, --pool-size, --resolve as the file says now"])
        manager = self.tls()
        self.assertIsInstance(manager.resolver, StaticResolver)
        self.assertEqual((manager.advertise, manager.pool.size), ("other.example", 3))
        self.assertEqual(self.service.endpoint.answer_options.max_ring, 9)
        self.follow(identity())
        self.assertNotIsInstance(manager.resolver, StaticResolver)

    def test_what_waits_for_a_restart(self) -> None:
        """row:M15: what cannot be taken over is named, each time, until the file says again what is in use."""
        listening = identity() + 'listen = "tls:port=0"\n'
        for _ in range(2):
            self.assertEqual(self.follow(listening), ["--listen not before a restart"])
        self.assertEqual(
            self.follow(listening + "drain = 9\n"), ["--drain as the file says now", "--listen not before a restart"]
        )
        self.assertEqual(self.follow(identity()), ["--drain as the file says now"])

    def test_lives_wait_for_a_restart(self) -> None:
        """row:M15: what peers may watch and transfer, what is subscribed to, and where messages are kept stay as they
        were, and each of them is named."""
        for line, name in (
            ('package = ["presence"]', "package"),
            ('package = ["presence"]\nwatchers = ["b.example"]', "package, --watchers"),
            ('package = ["presence"]\npublishers = ["verified"]', "package, --publishers"),
            ('subscribe = ["presence=sip:bob@b.example"]', "subscribe"),
            ('outbox = "outbox.sqlite"', "outbox"),
            ('replaces = ["off"]', "replaces"),
            ('referrals = "decline"', "referrals"),
        ):
            with self.subTest(name):
                self.assertEqual(self.follow(f"{identity()}{line}\n"), [f"--{name} not before a restart"])
                self.assertEqual(self.follow(identity()), [])
        self.assertIsNone(self.service.endpoint.packages.get("presence"))
        self.assertIsNone(self.service.outbox)

    def test_mistakes(self) -> None:
        """row:M15: a file with a mistake, or one that names a file that cannot be used, changes nothing at all."""
        for file in (
            "uri = \n",
            identity() + "[limits]\nidle_timeout = 7\nidle = 8\n",
            identity().replace("ca.pem", "none.pem") + "[limits]\nidle_timeout = 7\n",
            identity().replace("a.example.pem", "none.pem") + "[limits]\nidle_timeout = 7\n",
            identity().replace("trust", "#"),
        ):
            with self.subTest(file):
                said = self.follow(file)
                self.assertEqual(said, ["the configuration cannot be used, and stays as it was"])
                self.assertEqual(self.tls().limits.idle_timeout, 120)
        self.path.unlink()
        self.assertEqual(self.following.reload(), ["the configuration cannot be used, and stays as it was"])
        self.assertEqual(self.follow(identity()), [])

    def test_the_command_line_still_wins(self) -> None:
        """What stands on the command line stays as it is, whatever the file says."""
        self.service = self.made(identity(), "--drain", "4")
        self.assertEqual(self.follow(identity() + "drain = 9\n"), [])
        self.assertEqual(self.tls().limits.drain_timeout, 4)

    def test_parts(self) -> None:
        """A part hears of what has changed, and what it takes over needs no restart."""
        taker = _Taker()
        self.service.add_part(taker)
        self.assertEqual(self.follow(identity() + 'answer-type = "text/x"\n'), ["--answer-type as the file says now"])
        self.assertEqual(taker.told, [("text/x", frozenset({"answer-type"}))])

    def test_clear_text(self) -> None:
        """Without TLS there is nothing to be taken over of what TLS is about."""
        clear = 'uri = "sip:alice@a.example"\nlisten = "tcp:0"\n'
        self.service = self.made(clear)
        self.assertEqual(self.follow(clear + f'pin = "b.example={PIN}"\n'), ["--pin not before a restart"])

    def test_names(self) -> None:
        """Everything that is taken over is an option that a file can hold."""
        known = {option.name for option in option_table(Options) if not option.is_for_command_line}
        self.assertEqual(RELOADED - known, frozenset())


class SignalTests(ProcessCase):
    """A real service, a real signal."""

    async def test_a_name_that_is_allowed_later(self) -> None:
        """row:M15: whom the file allows only after the start is refused before SIGHUP, and let in after it."""
        path = Path(self.mktemp()).absolute()
        path.write_text(identity() + f'listen = "{LISTEN}"\nallow = "c.example"\n')
        service = Process(self, (*TWISTD, "-n", "--pidfile="), "sip-p2p", "--config", str(path))
        port = await self.port_of(service)
        await self.assertFailure(self.bob(port).send_message("sip:alice@a.example", "x"), SipError)
        path.write_text(identity() + f'listen = "{LISTEN}"\nallow = "b.example"\n')
        service.signal(signal.SIGHUP)
        await deferToThread(service.wait_for, "--allow as the file says now")
        self.assertEqual((await self.bob(port).send_message("sip:alice@a.example", "x")).status, 200)
        service.signal(signal.SIGTERM)
        await deferToThread(service.wait)
        self.assertEqual(service.errors(), "")
