"""A headless Chromium that does what it is told over the DevTools protocol, on a pipe: no port, no driver program."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.interop.peers.browser import HEADLESS
from tests.interop.peers.peer import Peer
from tests.interop.peers.program import PeerFailed, Program, find_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KEYS", "Chromium"]

COMMANDS, ANSWERS = 3, 4
"""The descriptors on which Chromium reads commands and writes answers; each ends with an octet of zero."""

KEYS = {
    "Tab": ("Tab", 9),
    "Enter": ("Enter", 13),
    "Escape": ("Escape", 27),
    "ArrowUp": ("ArrowUp", 38),
    "ArrowDown": ("ArrowDown", 40),
    "End": ("End", 35),
    "Home": ("Home", 36),
    " ": ("Space", 32),
}
"""Keys that mean something, with their code and their number."""


class _Piped(Program):
    """A process with the two more pipes, which are not its output."""

    def __init__(self, reactor: Any, arguments: Sequence[str]) -> None:
        super().__init__(reactor, arguments)
        self.told: Any = None
        self._rest = b""

    @property
    def pipes(self) -> dict[int, Any]:
        """With those of the protocol."""
        return {**super().pipes, COMMANDS: "w", ANSWERS: "r"}

    def command(self, message: Mapping[str, Any]) -> None:
        """Write one command."""
        self._transport.writeToChild(COMMANDS, json.dumps(message).encode() + b"\0")

    def _wrote(self, descriptor: int, data: bytes) -> None:
        if descriptor != ANSWERS:
            super()._wrote(descriptor, data)
            return
        *whole, self._rest = (self._rest + data).split(b"\0")
        for message in whole:
            self.told(json.loads(message))


class Chromium(Peer):
    """One page in a browser without a window.

    :ivar console: what the page wrote on its console, and what it threw.
    """

    packages = "chromium"
    programs = ("chromium",)

    def __init__(self, reactor: Any, directory: str, interface: str = "127.0.0.1") -> None:
        super().__init__(reactor, directory, interface)
        self.console: list[str] = []
        self._waiting: dict[int, Deferred[dict[str, Any]]] = {}
        self._count = 0
        self._page = ""
        self._piped: Any = None

    async def start(self, width: int = 1280, height: int = 800) -> None:
        """Start it, with an empty page of this size."""
        options = [
            *HEADLESS,
            "--remote-debugging-pipe",
            "--force-color-profile=srgb",
            "--hide-scrollbars",
            f"--user-data-dir={self.directory}/profile",
        ]
        piped = _Piped(self.reactor, [find_program("chromium") or "chromium", *options, "about:blank"])
        piped.told = self._told
        piped.start(self.directory, {"HOME": self.directory})
        self._program = self._piped = piped
        target = await self._ask("Target.createTarget", {"url": "about:blank"})
        attached = await self._ask("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
        self._page = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            await self.ask(f"{domain}.enable")
        await self.resize(width, height)

    async def _ask(self, method: str, parameters: Mapping[str, Any], page: str = "") -> dict[str, Any]:
        self._count += 1
        answer: Deferred[dict[str, Any]] = Deferred()
        self._waiting[self._count] = answer
        message: dict[str, Any] = {"id": self._count, "method": method, "params": dict(parameters)}
        if page:
            message["sessionId"] = page
        self._piped.command(message)
        return await answer.addTimeout(30, self.reactor)

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol for the page.

        :raises PeerFailed: the browser refuses it.
        """
        return await self._ask(method, parameters, self._page)

    def _told(self, message: dict[str, Any]) -> None:
        waiting = self._waiting.pop(message.get("id", 0), None)
        if waiting is not None:
            if "error" in message:
                waiting.errback(PeerFailed(f"Chromium: {message['error'].get('message')}"))
            else:
                waiting.callback(message["result"])
            return
        details = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            thrown = details["exceptionDetails"]
            self.console.append(f"{thrown['text']} {thrown.get('exception', {}).get('description', '')}")
        elif message.get("method") == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(each.get("value", each.get("description"))) for each in details["args"]))
        elif message.get("method") == "Log.entryAdded":
            self.console.append(f"{details['entry']['level']}: {details['entry']['text']}")

    async def resize(self, width: int, height: int, scale: float = 1.0) -> None:
        """Let the page have this size."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    async def colours(self, scheme: str) -> None:
        """Let the system prefer ``light`` or ``dark``."""
        await self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def open(self, address: str) -> None:
        """Load a page."""
        await self.ask("Page.navigate", url=address)
        await self.until("document.readyState === 'complete'")

    async def value(self, expression: str) -> Any:
        """What JavaScript makes of *expression*, which may be a promise.

        :raises PeerFailed: it throws.
        """
        found = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise PeerFailed(f"{expression}: {found['exceptionDetails'].get('exception', {}).get('description')}")
        return found["result"].get("value")

    async def until(self, expression: str, seconds: float = 20.0) -> Any:
        """Ask again and again until *expression* is true; what it is then.

        :raises PeerFailed: it is not within *seconds*.
        """
        deadline = self.reactor.seconds() + seconds
        while True:
            try:
                found = await self.value(expression)
            except PeerFailed:
                # While a page is being left there is nothing to ask.
                found = None
            if found:
                return found
            if self.reactor.seconds() > deadline:
                shows = await self.value("document.body.innerText")
                raise PeerFailed(f"not within {seconds:g} s: {expression}\n{shows}\n{self.console}")
            await deferLater(self.reactor, 0.03)

    async def press(self, key: str) -> None:
        """Press and release one key: a name of :data:`KEYS`, or a character."""
        code, number = KEYS.get(key, (f"Key{key.upper()}", ord(key.upper()[0])))
        text = {"Enter": "\r", "Tab": ""}.get(key, key if len(key) == 1 else "")
        shared = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **shared)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **shared)

    async def type(self, text: str) -> None:
        """Type *text* where the focus is."""
        await self.ask("Input.insertText", text=text)

    async def click(self, selector: str) -> None:
        """Press the mouse in the middle of the first element that *selector* finds, as soon as there is one."""
        place = await self.until(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)}); if (!found) return null;"
            "found.scrollIntoView({block: 'nearest'}); const box = found.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.ask("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    async def picture(self) -> bytes:
        """The page as a PNG."""
        found = await self.ask("Page.captureScreenshot", format="png")
        return base64.b64decode(found["data"])

    async def stop(self) -> None:
        """End it; who still waits for an answer is told."""
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each.errback(PeerFailed("the browser was ended"))
        await super().stop()
