"""A hook in memory, and a party whose answers it decides, on one clock."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from sip_p2p.service.applications.setting import ApplicationSetting
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.json_lines import JsonLines
from sip_p2p.service.settings.options import Options
from sip_p2p.service.settings.webhook_options import WebhookSettings
from sip_p2p.service.webhook.application import WebhookApplication
from sip_p2p.service.webhook.deliverer import Deliverer
from sip_p2p.service.webhook.signature import verify
from sip_p2p.testing import Network

if TYPE_CHECKING:
    from twisted.trial.unittest import SynchronousTestCase

    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.service.happenings import Happening

__all__ = [
    "SECRET",
    "SECRET_LINE",
    "Delivered",
    "MemoryHook",
    "Rig",
    "accept",
    "later",
    "numbered",
    "says",
    "settings",
    "status",
    "verified",
]

SECRET = b"a secret of the tests, no other"
SECRET_LINE = "whsec_YSBzZWNyZXQgb2YgdGhlIHRlc3RzLCBubyBvdGhlcg==\n"
"""The same as a line of a file."""

EPOCH = 1_700_000_000.0
"""What the clock on the wall shows when the clock of the tests shows 0."""


class Delivered:
    """One delivery that reached the hook."""

    def __init__(self, request: Any) -> None:
        self.request = request
        self.fields = {
            name.decode("ascii").lower(): values[0].decode("ascii")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        self.raw: bytes = request.content.read()
        self.body: dict[str, Any] = json.loads(self.raw)
        self.is_gone = False
        request.notifyFinish().addErrback(self._gone)

    def _gone(self, _: object) -> None:
        self.is_gone = True

    @property
    def id(self) -> str:
        """The delivery's id."""
        return self.fields["webhook-id"]

    @property
    def kind(self) -> str:
        """Its type."""
        return str(self.body["type"])

    @property
    def data(self) -> dict[str, Any]:
        """What it is about."""
        data: dict[str, Any] = self.body["data"]
        return data


Behaviour = Callable[[Delivered], bytes | None]
"""What the hook does with a delivery: returns the body of its 200, or None when :meth:`MemoryHook.answer` is called
later."""


def accept(_: Delivered) -> bytes:
    """200 with nothing in it."""
    return b""


class MemoryHook(Resource):
    """A hook at every path; it does in turn what it is told, the last of it from then on.

    :ivar deliveries: what has come.
    """

    isLeaf = True

    def __init__(self, *behaviours: Behaviour) -> None:
        super().__init__()
        self._behaviours = deque(behaviours or (accept,))
        self.deliveries: list[Delivered] = []
        self.agent = RequestTraversalAgent(self)

    def does(self, *behaviours: Behaviour) -> None:
        """What it does from now on."""
        self._behaviours = deque(behaviours)

    def render(self, request: Any) -> Any:
        """Take a delivery."""
        delivered = Delivered(request)
        self.deliveries.append(delivered)
        behaviour = self._behaviours[0] if len(self._behaviours) == 1 else self._behaviours.popleft()
        said = behaviour(delivered)
        return NOT_DONE_YET if said is None else said

    def answer(self, delivered: Delivered, body: bytes = b"", code: int = 200) -> None:
        """Answer a delivery that was left open."""
        delivered.request.setResponseCode(code)
        delivered.request.write(body)
        delivered.request.finish()
        self.agent.flush()

    @property
    def kinds(self) -> list[str]:
        """The types of what has come."""
        return [each.kind for each in self.deliveries]


def says(answer: object) -> Behaviour:
    """The hook answers 200 with *answer* as JSON."""
    return lambda _: json.dumps(answer).encode()


def status(code: int, **fields: str) -> Behaviour:
    """The hook answers *code*."""

    def behave(delivered: Delivered) -> bytes:
        delivered.request.setResponseCode(code)
        for name, value in fields.items():
            delivered.request.setHeader(name.replace("_", "-"), value)
        return b"words that nobody reads"

    return behave


def later(_: Delivered) -> None:
    """The hook thinks."""


def settings(folder: Path, **changes: Any) -> WebhookSettings:
    """The settings of a hook on this machine, with :data:`SECRET` in a file in *folder*."""
    secret = folder / "secret"
    if not secret.exists():
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text(SECRET_LINE)
        secret.chmod(0o600)
    url = "http://127.0.0.1:8000/hook"
    return WebhookSettings(url, url, "127.0.0.1", 8000, False, False, str(secret))._replace(**changes)


def numbered() -> Callable[[], str]:
    """Ids in their order."""
    count = iter(range(1, 1_000_000))
    return lambda: f"msg_{next(count)}"


class Rig:
    """Alice, who sends, and Bob, whose answers the hook decides.

    :ivar hook: the hook.
    :ivar events: what has happened.
    :ivar heard: how the hook's deliveries and Alice's outcomes followed each other.
    """

    def __init__(
        self,
        case: SynchronousTestCase,
        *behaviours: Behaviour,
        drain: float = 5.0,
        default_transport: str = "tls",
        **changes: Any,
    ) -> None:
        self.network = Network()
        self.hook = MemoryHook(*behaviours)
        self.happenings = Happenings(clock=self.wall)
        self.events: list[Happening] = []
        self.happenings.follow(self.events.append)
        self.alice: SipPeerToPeerEndpoint = self.network.party(
            "sip:alice@a.example", default_transport=default_transport
        )
        self.bob: SipPeerToPeerEndpoint = self.network.party("sip:bob@b.example", default_transport=default_transport)
        self.target = "sip:bob@b.example" + (";transport=udp" if default_transport == "udp" else "")
        self.settings = settings(Path(case.mktemp()), **changes)
        self.deliverer = Deliverer(
            self.bob.connection_manager.reactor,
            self.happenings,
            self.settings,
            drain=drain,
            agent=self.hook.agent,
            clock=self.wall,
            token=numbered(),
        )
        setting = ApplicationSetting(
            self.happenings, JsonLines([].append), Options(), self.bob.connection_manager.reactor, self.deliverer
        )
        self.application = WebhookApplication(setting, self.deliverer, draw=lambda least, most: least)
        self.bob.message_received.subscribe(self.application.message)
        for method in self.application.methods:
            self.bob.handle(method, self.application.request)
        self.bob.session_received.subscribe(self.application.session)
        self.bob.refer_received.subscribe(self.application.referral)

    def wall(self) -> float:
        """The clock on the wall."""
        return EPOCH + self.network.seconds()

    def happened(self, event: str) -> list[dict[str, object]]:
        """The fields of the events of one kind."""
        return [dict(each.fields) for each in self.events if each.event == event]

    def sent(self, body: str = "hello", **options: Any) -> Deferred[Any]:
        """Alice sends a MESSAGE, once; what comes of it, a response or an error."""
        options.setdefault("retry_after", "never")
        sending: Deferred[Any] = self.alice.send_message(self.target, body, **options)
        return sending.addErrback(lambda failure: getattr(failure.value, "response", failure.value))

    def outcome(self, sending: Deferred[Any], timeout: float = 60.0) -> Any:
        """Let time pass until it is known."""
        return self.network.run_until(sending, timeout)

    def finish(self) -> None:
        """End everything, and see that nothing is left."""
        ending = self.deliverer.ended()
        self.hook.agent.flush()
        if ending is not None:
            self.network.run_until(ending)
        self.network.finish()


def verified(delivered: Delivered, now: float = EPOCH) -> str:
    """The id of a delivery, as somebody who verifies it gets it."""
    return verify([SECRET], delivered.fields, delivered.raw, now)
