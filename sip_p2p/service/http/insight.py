"""What happens and what passes, now and a while ago: events, traces and metrics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sip_p2p.service.http.exchange import accepts
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer
from sip_p2p.service.http.streams import EVENT_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sip_p2p.observe.trace import TraceEvent
    from sip_p2p.service.happenings import Happening, Happenings
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer
    from sip_p2p.service.http.streams import Told

__all__ = [
    "MOST_TRACED",
    "MOST_TRACED_OCTETS",
    "events",
    "metrics",
    "prometheus",
    "trace",
    "trace_follow",
    "trace_pcapng",
]

MOST_TRACED = 1000
"""Messages in one answer."""

MOST_TRACED_OCTETS = 4 * 1024 * 1024
"""The octets of their heads and bodies, or of events; what is over is left for the next request, from ``next`` on."""

_BATCH = 64


def events(server: ControlServer, call: Call) -> Answer | None:
    """Follow what happens; or, asked for JSON, what is kept of it."""
    wanted = frozenset(call.query.get("event", ()))
    happenings = server.service.happenings
    since = _since(call, happenings.newest)

    def is_wanted(happening: Happening) -> bool:
        return not wanted or happening.event in wanted

    if not _streams(call):
        return _kept_events(happenings, since or 0, is_wanted)
    if call.request.method == b"HEAD":
        return Answer(None, content_type=EVENT_STREAM)

    def missed() -> Iterator[Told]:
        last = happenings.newest if since is None else since
        count = _lost(happenings, last)
        yield "hello", {"instance": server.instance, "newest": happenings.newest, "missed": count}, None
        while batch := happenings.since(last):
            # Who is slower than things happen has a gap, and hears of it.
            gap = batch[0].number - last - 1
            if gap > count:
                yield "missed", {"count": gap}, None
            count = 0
            for each in batch:
                last = each.number
                if is_wanted(each):
                    yield each.event, each.as_json(), each.number

    def told(happening: Happening) -> None:
        if is_wanted(happening):
            stream.send(happening.event, happening.as_json(), happening.number)

    leaves: list[Callable[[], None]] = []
    stream = server.followers.open(call.request, lambda: [leave() for leave in leaves], missed())
    if not stream.is_over:
        leaves.append(happenings.follow(told))
    return None


def _lost(happenings: Happenings, since: int) -> int:
    """How many events after *since* are kept no more."""
    kept = happenings.since(since)
    return (kept[0].number if kept else happenings.newest + 1) - since - 1


def _kept_events(happenings: Happenings, since: int, is_wanted: Callable[[Happening], bool]) -> Answer:
    said: list[dict[str, object]] = []
    octets = 0
    last = since
    for each in happenings.since(since):
        if is_wanted(each):
            found = each.as_json()
            octets += len(json.dumps(found))
            if said and octets > MOST_TRACED_OCTETS:
                break
            said.append(found)
        last = each.number
    return Answer({"events": said, "newest": happenings.newest, "next": last})


def _streams(call: Call) -> bool:
    """Whether the answer is to go on: as it does unless JSON alone is asked for."""
    accept = call.header("accept") or "*/*"
    return EVENT_STREAM in accept or "application/json" not in accept


def _since(call: Call, newest: int) -> int | None:
    """The number of the last event that the follower has seen; None where it wants only what comes.

    One that is higher than any comes from before a restart: all that is kept happened after it.
    """
    text = call.header("last-event-id")
    number = call.query.get("since")
    if text is not None and text:
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise Problem("bad-request", "The Last-Event-ID is not the number of an event.")
        number = int(text)
    if number is None:
        return None
    return number if number <= newest else 0


def _recorder(server: ControlServer) -> Any:
    recorder = None if server.instruments is None else getattr(server.instruments, "recorder", None)
    if recorder is None:
        raise Problem("unavailable", "Nothing is recorded: the service was started with --record 0.")
    return recorder


def _filters(call: Call) -> dict[str, Any]:
    filters = {name: call.query[name] for name in ("call_id", "peer", "method") if name in call.query}
    if "flow" in call.query:
        filters["flow"] = call.query["flow"]
    return filters


def _traced(event: TraceEvent) -> dict[str, object]:
    fields: dict[str, object] = json.loads(event.to_json())
    if event.call_id:
        fields["call_id"] = event.call_id
    return {"number": event.number, **fields}


def trace(server: ControlServer, call: Call) -> Answer:
    """What is recorded, oldest first: the newest of it, or what follows ``since``."""
    limit, since = call.query.get("limit", MOST_TRACED), call.query.get("since")
    found = _recorder(server).events(**_filters(call), since=since, limit=limit)
    said: list[dict[str, object]] = []
    octets = 0
    for each in found:
        octets += len(each.head) + len(each.body or b"")
        if said and octets > MOST_TRACED_OCTETS:
            break
        said.append(_traced(each))
    return Answer({"events": said, "next": said[-1]["number"] if said else since or 0})


def trace_follow(server: ControlServer, call: Call) -> Answer | None:
    """Follow what passes."""
    recorder = _recorder(server)
    filters = _filters(call)
    since = _since(call, recorder.newest)
    if call.request.method == b"HEAD":
        return Answer(None, content_type=EVENT_STREAM)
    leaves: list[Callable[[], None]] = []

    def missed() -> Iterator[Told]:
        last = since
        while last is not None and (batch := recorder.events(**filters, since=last, limit=_BATCH)):
            for each in batch:
                last = each.number
                yield each.kind, _traced(each), each.number

    def told(event: TraceEvent) -> None:
        stream.send(event.kind, _traced(event), event.number)

    stream = server.followers.open(call.request, lambda: [leave() for leave in leaves], missed())
    if not stream.is_over:
        leaves.append(recorder.follow(told, **filters))
    return None


def trace_pcapng(server: ControlServer, call: Call) -> Answer:
    """What is recorded, as a file that Wireshark reads."""
    from sip_p2p.observe.pcapng import capture

    limit, since = call.query.get("limit", MOST_TRACED), call.query.get("since")
    found = _recorder(server).events(**_filters(call), since=since, limit=limit)
    headers = [("Content-Disposition", 'attachment; filename="sip-p2p.pcapng"')]
    return Answer(capture(found), content_type="application/x-pcapng", headers=headers)


def metrics(server: ControlServer, call: Call) -> Answer:
    """Every counter and gauge of the connection manager, of what stands beside it, and the API's own."""
    counters = dict(server.service.manager.metrics())
    for part, figures in getattr(server.instruments, "further", {}).items():
        counters |= {f"{part}_{name}": value for name, value in figures().items()}
    counters |= {f"http_{name}": value for name, value in server.counters().items()}
    return Answer({"counters": counters})


def prometheus(server: ControlServer, call: Call) -> Answer:
    """The same and the histograms, as Prometheus reads them."""
    collector = None if server.instruments is None else getattr(server.instruments, "collector", None)
    if collector is None:
        raise Problem("unavailable", "There are no instruments: prometheus_client is not installed.")
    accept = call.header("accept") or ""
    if "application/openmetrics-text" in accept and accepts(accept, collector.open_metrics_type):
        return Answer(collector.render(open_metrics=True), content_type=collector.open_metrics_type)
    return Answer(collector.render(), content_type=collector.content_type)
