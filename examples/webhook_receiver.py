"""A hook for ``twistd sip-p2p --application webhook``: it verifies each delivery, and decides.

Run it with the file of the secrets and a port; what it prints is what comes in:

    python webhook_receiver.py secrets 8000

It accepts every message that does not hold the word "spam", lets every call ring and accepts it in silence, and takes a
delivery that comes a second time for the one that it has seen.
"""

from __future__ import annotations

import collections
import json
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from sip_p2p.service.webhook.signature import parse_secrets, verify

REMEMBERED = 10_000


class Hook(Resource):
    """Answers deliveries."""

    isLeaf = True

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._secrets = secrets
        # What was answered to the deliveries of late, by their ids.
        self._answers: collections.OrderedDict[str, bytes] = collections.OrderedDict()

    def render_POST(self, request: Request) -> bytes:
        """Verify first, then look."""
        assert request.content is not None
        body = request.content.read()
        fields = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        try:
            delivery = verify(self._secrets, fields, body, time.time())
        except ValueError as error:
            print(f"refused: {error}", flush=True)
            request.setResponseCode(401)
            return b""
        if delivery not in self._answers:
            said = json.loads(body)
            self._answers[delivery] = json.dumps(decide(said["type"], said["data"])).encode("utf-8")
            if len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        request.setHeader("Content-Type", "application/json")
        return self._answers[delivery]


def decide(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """What becomes of one delivery."""
    if kind == "message":
        print(f"{data['peer']} says {data.get('text')}", flush=True)
        if "spam" in data.get("text", ""):
            return {"status": 403, "reason": "Not here"}
        return {"status": 200}
    if kind == "session":
        print(f"{data['peer']} calls", flush=True)
        return {"decision": "accept"} if data["ringing"] else {"decision": "ring", "ask_again": 0.5}
    print(kind, data.get("state", ""), flush=True)
    return {}


async def main(reactor: Any, secrets: str, port: str) -> None:
    """Listen until Ctrl-C."""
    hook = Hook(parse_secrets(Path(secrets).read_text("ascii")))
    listening = await serverFromString(reactor, f"tcp:{int(port)}:interface=127.0.0.1").listen(Site(hook))
    print(f"the hook is http://127.0.0.1:{listening.getHost().port}/", flush=True)
    await Deferred()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: webhook_receiver.py SECRETS PORT")
    react(main, sys.argv[1:])
