"""The web console in a headless Chromium, served by a real service with which real parties talk."""

from __future__ import annotations

import itertools
import json
import socket
from pathlib import Path
from typing import Any

from sip_p2p import (
    RealTimeServerTlsConnectionManager,
    SipPeerToPeerEndpoint,
    StaticResolver,
    TlsFailure,
    TrustPolicy,
)
from sip_p2p.service.assembly import make
from sip_p2p.service.http.server import ControlServer
from sip_p2p.service.silence import silent_answer, silent_offer
from tests.interop.peers.devtools import Chromium
from tests.interop.peers.program import until
from tests.interop.support import InteropTestCase, reactor
from tests.service.support import keys, parsed

PAGES = ("", "ladders", "flows", "sessions", "failures", "certificates", "send", "doctor")
MANY = 1100

HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=2</script>'
HIDDEN = "\u202eevil\u200b"

LIFE = """
(() => {
  const wrong = [];
  const channels = (text) => {
    const numbers = text.match(/-?[\\d.]+/g).map(Number);
    const scale = text.startsWith('color(') ? 255 : 1;
    const [r, g, b, a = 1] = numbers;
    return [r * scale, g * scale, b * scale, a];
  };
  const over = (top, below) => top.slice(0, 3).map((each, index) => each * top[3] + below[index] * (1 - top[3]));
  const light = (colour) => {
    const [r, g, b] = colour.map((each) => {
      const part = each / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const row = each.closest && each.matches('g.row') ? each.querySelector('.ground') : null;
      const colour = channels(row ? getComputedStyle(row).fill : getComputedStyle(each).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest('.unseen, noscript, dialog:not([open]), symbol, title, .skip')) continue;
    if (!element.checkVisibility() || element.getClientRects().length === 0) continue;
    if (element.closest(':disabled')) continue;
    const style = getComputedStyle(element);
    const below = ground(element);
    const ink = over(channels(element instanceof SVGElement ? style.fill : style.color), below);
    const [high, low] = [light(ink), light(below)].sort((one, other) => other - one);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) wrong.push(`contrast ${contrast.toFixed(2)}: ${node.data.trim().slice(0, 40)}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
  ids.filter((id, index) => ids.indexOf(id) !== index).forEach((id) => wrong.push(`twice: #${id}`));
  for (const each of document.querySelectorAll('[aria-describedby], [aria-labelledby], label[for]')) {
    const named = each.getAttribute('aria-describedby') ?? each.getAttribute('aria-labelledby') ?? each.htmlFor;
    if (!document.getElementById(named)) wrong.push(`names nobody: ${named}`);
  }
  if (document.querySelectorAll('main h1').length !== 1) wrong.push('not one h1');
  if (document.querySelectorAll('nav [aria-current=page]').length !== 1) wrong.push('not one page is the current one');
  if (!document.documentElement.lang) wrong.push('no language');
  const root = document.scrollingElement;
  if (root.scrollWidth > root.clientWidth) wrong.push(`${root.scrollWidth} wide on ${root.clientWidth}`);
  return wrong;
})()
"""
"""What is wrong with the page as it stands, for who sees badly or has a small screen."""

NAMED = frozenset("button grid link listbox meter navigation option radio searchbox textbox".split())
"""Roles whose elements have to have a name."""


class ConsoleCase(InteropTestCase):
    """Alice as a service with a console, Bob beside her, and somebody who looks."""

    needs = (Chromium,)

    async def serve(self, *more: str, application: str = "control") -> str:
        """Start Alice's service; the address of its console."""
        folder = keys()
        options = parsed(
            *("--uri", "sip:alice@a.example", "--certificate", str(folder / "a.example.pem")),
            *("--trust", str(folder / "ca.pem"), "--allow", "b.example", "--application", application),
            *("--listen", "tls:port=0:interface=127.0.0.1", "--http", "tcp:0:interface=127.0.0.1"),
            *("--keep-bodies", "all", "--drain", "1", *self.place_of_bob(), *more),
        )
        console = self.started(options)
        place = ("127.0.0.1", self.service.manager.listening_port)
        for endpoint in self.friends:
            manager = endpoint.connection_manager
            manager.resolver = StaticResolver({"a.example": place}, manager.resolver)
        return console

    def started(self, options: Any) -> str:
        """Start a service; the address of its console."""
        self.service = make(reactor, options)
        self.stop_later(self.service.stopService)
        self.service.privilegedStartService()
        self.service.startService()
        (control,) = (part for part in self.service.parts if isinstance(part, ControlServer))
        return f"{control.addresses[0]}/console/"

    def place_of_bob(self) -> tuple[str, ...]:
        """Where Alice finds Bob."""
        manager: Any = self.friends[0].connection_manager
        return ("--resolve", f"b.example=127.0.0.1:{manager.listening_port}")

    async def with_bob(self) -> None:
        """Let Bob listen."""
        self.friends: list[SipPeerToPeerEndpoint] = []
        self.bob = self.friend("bob@b.example", "b.example.pem")
        await self.bob.connection_manager.start_listening("tls:port=0:interface=127.0.0.1")
        self.heard: list[str] = []
        self.bob.message_received.subscribe(lambda event: self.heard.append(event.text))

    def friend(self, name: str, certificate: str) -> SipPeerToPeerEndpoint:
        """A party that finds Alice."""
        folder = keys()
        manager = RealTimeServerTlsConnectionManager(
            reactor, folder / certificate, trust=folder / "ca.pem", allow=TrustPolicy(["a.example"])
        )
        self.stop_later(manager.terminate)
        endpoint = SipPeerToPeerEndpoint(f"sip:{name}", manager)
        self.friends.append(endpoint)
        return endpoint

    async def look(self, address: str, page: str = "", width: int = 1280, height: int = 800) -> Chromium:
        """A browser that shows one page of the console."""
        browser = self.peer(Chromium)
        await browser.start(width, height)
        await browser.open(f"{address}#/{page}")
        return browser

    async def go(self, browser: Chromium, page: str) -> None:
        """Another page, as who follows a link."""
        await browser.value(f"location.hash = '#/{page}'")
        await browser.until(f"document.querySelector('main h1') && location.hash === '#/{page}'")

    async def tab_to(self, browser: Chromium, selector: str) -> None:
        """Press Tab until the focus is where *selector* says."""
        for _ in range(60):
            if await browser.value(f"document.activeElement.matches({json.dumps(selector)})"):
                return
            await browser.press("Tab")
        self.fail(f"no Tab leads to {selector}")

    async def show(self, browser: Chromium, selector: str, text: str) -> None:
        """Wait until an element that *selector* finds holds *text*."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})].some((each) => each.textContent.includes("
        await browser.until(f"{found}{json.dumps(text)}))")


class ConversationTests(ConsoleCase):
    """What passes is seen."""

    async def test_a_ladder_by_keyboard(self) -> None:
        """A call is found, opened and read message by message with the keyboard alone."""
        await self.with_bob()
        address = await self.serve(application="echo")
        session = await self.bob.invite("sip:alice@a.example", silent_offer())
        await session.terminate()
        browser = await self.look(address, "ladders")
        await self.show(browser, ".grid-row", "hung up")
        await self.tab_to(browser, ".calls .grid-row")
        await browser.press("Enter")
        await self.show(browser, ".subject", "hung up")
        await self.tab_to(browser, "g.row")
        await browser.press("Enter")
        await self.show(browser, ".detail .start-line", "INVITE sip:alice@a.example")
        await self.show(browser, ".detail .body", "m=audio")
        await browser.press("ArrowDown")
        await self.show(browser, ".detail .start-line", "SIP/2.0 180 Ringing")
        await browser.press("End")
        await self.show(browser, ".detail .start-line", "SIP/2.0 200 OK")
        spoken = await browser.value("document.activeElement.getAttribute('aria-label')")
        self.assertIn("200 OK (BYE)", spoken)
        self.assertTrue(await browser.value("document.querySelectorAll('g.row.kin').length === 1"))
        self.assertTrue(await browser.value("document.querySelectorAll('.standing').length === 1"))
        await browser.press("Escape")
        self.assertTrue(await browser.value("document.querySelector('.detail').hidden"))
        self.assertEqual(await browser.value("document.activeElement.getAttribute('aria-label')"), spoken)

    async def test_it_is_live(self) -> None:
        """What passes while one looks appears by itself: in the ladder, among the flows, in the log of events."""
        await self.with_bob()
        address = await self.serve()
        browser = await self.look(address, "ladders")
        await self.show(browser, "main", "Nothing has passed yet")
        await self.bob.send_message("sip:alice@a.example", "good morning")
        await self.show(browser, "g.row .carried", "good morning")
        await self.go(browser, "flows")
        await self.show(browser, ".grid-row", "b.example")
        await self.show(browser, ".grid-row .unseen", "proved by its certificate")
        await self.go(browser, "")
        await self.show(browser, ".log-line", "good morning")
        await self.bob.send_message("sip:alice@a.example", "good evening")
        await self.show(browser, ".log-line", "good evening")
        self.assertEqual(browser.console, [])

    async def test_a_message_by_the_form(self) -> None:
        """The form sends a text and an OPTIONS, and shows what is answered, with the way to its ladder."""
        await self.with_bob()
        browser = await self.look(await self.serve(), "send")
        await self.tab_to(browser, "input[name=to]")
        await browser.type("sip:bob@b.example")
        await self.tab_to(browser, "textarea")
        await browser.type("hello from the console")
        await self.tab_to(browser, "button[type=submit]")
        await browser.press("Enter")
        await self.show(browser, ".result .pill", "200 OK")
        self.assertEqual(self.heard, ["hello from the console"])
        await browser.click("input[value=OPTIONS]")
        await browser.click("main button[type=submit]")
        await self.show(browser, ".result dd", "MESSAGE")
        await browser.click(".result a")
        await self.show(browser, "g.row .label", "OPTIONS bob@b.example")

    async def test_a_call_is_answered(self) -> None:
        """A call that waits for a decision rings, is answered without media and hung up from the page of sessions."""
        await self.with_bob()
        browser = await self.look(await self.serve(), "sessions")
        calling = self.bob.invite("sip:alice@a.example", silent_offer())
        await self.show(browser, ".grid-row", "incoming")
        await browser.click(".deeds .primary")
        session = await calling
        self.assertIn(b"m=audio", session.remote_description.body)
        await self.show(browser, ".grid-row", "connected")
        await browser.click(".deeds button[aria-label^=Hang]")
        await self.show(browser, ".empty h2", "No sessions")
        await until(reactor, lambda: session.state.name == "DISCONNECTED", 10, "the end of the call")

    async def test_a_call_by_the_form(self) -> None:
        """The form calls, without media."""
        await self.with_bob()

        async def ringing(session: Any) -> None:
            await session.accept(silent_answer(session.offer))

        self.bob.session_received.subscribe(ringing)
        browser = await self.look(await self.serve(), "send")
        await browser.click("input[value=INVITE]")
        await self.tab_to(browser, "input[name=to]")
        await browser.type("sip:bob@b.example")
        await browser.press("Enter")
        await self.show(browser, ".result", "sip:bob@b.example")
        await self.go(browser, "sessions")
        await self.show(browser, ".grid-row", "connected")

    async def test_refused(self) -> None:
        """Whoever is refused stands on the page of failures, with the reason and what to do, and in the ladder."""
        await self.with_bob()
        address = await self.serve()
        mallory = self.friend("alice@a.example", "other/b.example.pem")
        place = ("127.0.0.1", self.service.manager.listening_port)
        manager = mallory.connection_manager
        manager.resolver = StaticResolver({"a.example": place}, manager.resolver)
        await self.failure_of(mallory.send_message("sip:alice@a.example", "let me in"), TlsFailure)
        browser = await self.look(address, "failures")
        await self.show(browser, ".failure .what", "was not issued by an authority that we trust")
        await self.show(browser, ".failure .remedy", "--trust")
        await self.go(browser, "ladders")
        await self.show(browser, "g.remark .label", "not issued by an authority")

    async def test_the_doctor(self) -> None:
        """The doctor walks the way to Bob and finds it in order, step by step."""
        await self.with_bob()
        browser = await self.look(await self.serve(), "doctor")
        await self.tab_to(browser, "input[name=patient]")
        await browser.type("sip:bob@b.example")
        await browser.press("Enter")
        await self.show(browser, ".finding", "b.example answers OPTIONS")
        await self.show(browser, ".report h2", "Everything is in order")


class StrangerTests(ConsoleCase):
    """What the page does not do for strangers."""

    async def test_hostile_text(self) -> None:
        """What a peer writes is text on every page: nothing of it runs, and what hides in it is made visible."""
        await self.with_bob()
        address = await self.serve("--listen", "udp:port=0:interface=127.0.0.1")
        (port,) = (each.port for each in self.service.manager.listeners if each.transport == "UDP")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
            caller.bind(("127.0.0.1", 0))
            for number, method in enumerate(("MESSAGE", "INVITE")):
                caller.sendto(hostile(method, number, caller.getsockname()[1]), ("127.0.0.1", port))
        browser = await self.look(address)
        await self.show(browser, ".log-line", "window.hit=1")
        for page in PAGES:
            await self.go(browser, page)
            self.assertEqual(await browser.value("document.querySelectorAll('main img, main script').length"), 0, page)
        await self.go(browser, "ladders")
        await browser.click("g.row")
        await self.show(browser, ".detail .field-value", "<img src=x")
        await self.show(browser, ".detail .body", "\\u202eevil\\u200b")
        shown = await browser.value("document.body.textContent")
        self.assertNotIn("\u202e", shown)
        self.assertIsNone(await browser.value("window.hit"))
        self.assertEqual(browser.console, [])

    async def test_a_token(self) -> None:
        """Without the token nothing is shown; a wrong one is told to be wrong; with the right one the page lives."""
        await self.with_bob()
        path = Path(self.folder()) / "tokens"
        path.write_text("a-token-of-some-length-0123456789\n", "ascii")
        path.chmod(0o600)
        address = await self.serve("--http-token-file", str(path))
        browser = await self.look(address)
        await browser.until("document.querySelector('#lock').open")
        self.assertEqual(await browser.value("document.activeElement.id"), "token")
        await browser.type("a wrong token")
        await browser.press("Enter")
        await self.show(browser, "#lock-complaint", "does not know this token")
        await browser.type("a-token-of-some-length-0123456789")
        await browser.press("Enter")
        await self.show(browser, "#link-words", "live")
        await self.show(browser, "#party", "sip:alice@a.example")
        self.assertFalse(await browser.value("document.querySelector('#lock').open"))
        self.assertNotIn("token", await browser.value("JSON.stringify(localStorage)"))

    async def test_nothing_from_elsewhere(self) -> None:
        """Everything that the page loads comes from the service itself."""
        await self.with_bob()
        address = await self.serve()
        browser = await self.look(address)
        await self.show(browser, "#link-words", "live")
        loaded = await browser.value("performance.getEntriesByType('resource').map((each) => each.name)")
        origin = address.removesuffix("console/")
        self.assertEqual([each for each in loaded if not each.startswith(origin)], [])


class UseTests(ConsoleCase):
    """For everybody, on every screen, at any size."""

    timeout = 120

    async def test_everybody_can_use_it(self) -> None:
        """On every page, dark and light, wide and narrow: each text has its contrast, each control its name, and
        nothing sticks out."""
        await self.with_bob()
        address = await self.serve()
        await self.bob.send_message("sip:alice@a.example", "hello")
        calling = self.bob.invite("sip:alice@a.example", silent_offer())
        calling.addErrback(lambda _: None)
        browser = await self.look(address)
        await self.show(browser, ".log-line", "hello")
        for scheme, (width, height) in itertools.product(("light", "dark"), ((1280, 800), (390, 800))):
            await browser.colours(scheme)
            await browser.resize(width, height)
            for page in PAGES:
                await self.go(browser, page)
                await browser.until("!document.getAnimations().some((each) => each instanceof CSSTransition)")
                where = f"{page or 'overview'}, {scheme}, {width}"
                if page == "ladders" and width > 1000:
                    await browser.click("g.row")
                self.assertEqual(await browser.value(LIFE), [], where)
                self.assertEqual(await self.nameless(browser), [], where)

    async def nameless(self, browser: Chromium) -> list[str]:
        """What a screen reader has no name for."""
        tree = await browser.ask("Accessibility.getFullAXTree")
        return [
            node["role"]["value"]
            for node in tree["nodes"]
            if not node.get("ignored") and node["role"]["value"] in NAMED and not node["name"].get("value")
        ]

    async def test_colours_by_hand(self) -> None:
        """The button changes the colours, and the next visit begins with them."""
        await self.with_bob()
        address = await self.serve()
        browser = await self.look(address)
        await browser.colours("light")
        ground = "getComputedStyle(document.body).backgroundColor"
        light = await browser.value(ground)
        await browser.click("#theme")
        await browser.click("#theme")
        await self.show(browser, "#theme-words", "dark")
        dark = await browser.value(ground)
        self.assertNotEqual(dark, light)
        await browser.open("about:blank")
        await browser.open(address)
        await self.show(browser, "#theme-words", "dark")
        self.assertEqual(await browser.value(ground), dark)

    async def test_many_flows(self) -> None:
        """More than a thousand flows come page by page, only what can be seen is in the document, and scrolling,
        sorting and narrowing down stay quick."""
        await self.with_bob()
        address = await self.serve("--listen", "udp:port=0:interface=127.0.0.1")
        (port,) = (each.port for each in self.service.manager.listeners if each.transport == "UDP")
        for number in range(MANY):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
                caller.bind(("127.0.0.1", 0))
                caller.sendto(ask(number, caller.getsockname()[1]), ("127.0.0.1", port))
            if number % 50 == 49:
                # A socket takes only so much at a time; a port may come more than once.
                await self.flows(int(number * 0.95) - 5)
        browser = await self.look(address, "flows")
        await browser.until("document.querySelector('[role=grid]').getAttribute('aria-rowcount') == 1001")
        await browser.value(
            "[...document.querySelectorAll('.tools button')].find((b) => b.textContent == 'Load more').click()"
        )
        await browser.until("document.querySelector('[role=grid]').getAttribute('aria-rowcount') > 1020")
        await browser.until("[...document.querySelectorAll('.tools button')].every((b) => b.hidden)")
        self.assertLess(await browser.value("document.querySelectorAll('.grid-row').length"), 60)
        self.assertLess(await browser.value(SCROLLED), 50)
        await browser.click("[role=columnheader] .sort")
        await self.tab_to(browser, ".grid-row")
        await browser.press("End")
        rows = await browser.value("Number(document.querySelector('[role=grid]').getAttribute('aria-rowcount'))")
        self.assertEqual(await browser.value("Number(document.activeElement.getAttribute('aria-rowindex'))"), rows)
        await browser.value("document.querySelector('input[type=search]').focus()")
        await browser.type(":5")
        await self.show(browser, ".tally-line", " of ")

    async def flows(self, least: int) -> None:
        """Wait until Alice knows so many peers."""
        await until(reactor, lambda: len(self.service.manager.keeper.flows) >= least, 10, f"{least} flows")

    async def test_nothing_to_show(self) -> None:
        """A service to which nobody has talked yet says on every page what will be there."""
        await self.with_bob()
        browser = await self.look(await self.serve())
        for page, words in (
            ("flows", "Nobody is connected"),
            ("sessions", "No sessions"),
            ("failures", "No handshake has failed"),
            ("ladders", "Nothing has passed yet"),
        ):
            await self.go(browser, page)
            await self.show(browser, ".empty h2", words)

    async def test_the_service_comes_back(self) -> None:
        """While the service is away the page says so, and it lives again as soon as there is another one."""
        await self.with_bob()
        address = await self.serve()
        browser = await self.look(address)
        await self.show(browser, "#link-words", "live")
        await self.service.stopService()
        await self.show(browser, "#link-words", "connection lost")
        port = address.split(":")[2].partition("/")[0]
        again = await self.serve_at(port)
        self.assertEqual(again, address)
        await self.show(browser, "#link-words", "live")

    async def serve_at(self, port: str) -> str:
        """The same service once more, its console at *port*."""
        folder = keys()
        options = parsed(
            *("--uri", "sip:alice@a.example", "--certificate", str(folder / "a.example.pem")),
            *("--trust", str(folder / "ca.pem"), "--http", f"tcp:{port}:interface=127.0.0.1", "--drain", "1"),
        )
        return self.started(options)


SCROLLED = """
(async () => {
  const view = document.querySelector('.grid-viewport');
  const taken = [];
  for (let step = 0; step < 60; step += 1) {
    const begun = performance.now();
    view.scrollTop += 600;
    view.dispatchEvent(new Event('scroll'));
    view.getBoundingClientRect();
    taken.push(performance.now() - begun);
    await new Promise((done) => requestAnimationFrame(done));
  }
  return taken.sort((one, other) => one - other)[30];
})()
"""
"""How long one step takes, in milliseconds and in the median, while the table is scrolled to its end: its own work, not
that of painting."""


def ask(number: int, port: int) -> bytes:
    """An OPTIONS of somebody new."""
    return (
        "OPTIONS sip:alice@a.example SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKmany{number};rport\r\nMax-Forwards: 70\r\n"
        f"From: <sip:caller{number}@127.0.0.1>;tag={number}\r\nTo: <sip:alice@a.example>\r\n"
        f"Call-ID: many{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def hostile(method: str, number: int, port: int) -> bytes:
    """A request that wants to be a web page."""
    name = HOSTILE.replace('"', '\\"')
    body = f"{HOSTILE} {HIDDEN}".encode()
    return (
        f"{method} sip:alice@a.example SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKhostile{number};rport\r\nMax-Forwards: 70\r\n"
        f'From: "{name} {HIDDEN}" <sip:%3Cb%3E@127.0.0.1>;tag={number}\r\nTo: <sip:alice@a.example>\r\n'
        f"Call-ID: hostile{number}\r\nCSeq: 1 {method}\r\nContact: <sip:%3Cb%3E@127.0.0.1:{port}>\r\n"
        f"Subject: {HOSTILE} {HIDDEN}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
