"""Prometheus scrapes a service, as ``docs/metrics.rst`` tells it to, and judges what it finds."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.interop.peers.ours import Service
from tests.interop.peers.peer import Peer
from tests.interop.peers.program import Program, free_port, until
from tests.interop.peers.sipp import Sipp
from tests.interop.support import TEXT, InteropTestCase
from tests.manual import ROOT, blocks

TOKEN = "only Prometheus knows this".replace(" ", "-")
SCRAPES, ALARMS = blocks(ROOT / "docs" / "metrics.rst", "yaml")
"""The two configurations of the page."""


class Prometheus(Peer):
    """One Prometheus, with what the page shows of its configuration."""

    packages = "prometheus curl"
    programs = ("prometheus", "promtool", "curl")

    def __init__(self, reactor: Any, directory: str) -> None:
        super().__init__(reactor, directory)
        self.port = free_port()
        self.token = os.path.join(directory, "token")

    def write(self, port: int) -> None:
        """Write the configuration, for a service whose API is on *port*."""
        scrapes = SCRAPES.replace("/etc/prometheus/sip-p2p.token", self.token).replace("8080", str(port))
        # A second, so that nobody has to wait.
        head = "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [alarms.yml]\n"
        self.write_files({"prometheus.yml": head + scrapes, "alarms.yml": ALARMS, "token": f"{TOKEN}\n"})
        os.chmod(self.token, 0o600)

    async def start(self) -> None:
        """Start it."""
        place = f"--web.listen-address=127.0.0.1:{self.port}"
        program = self.launch("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", place)
        await program.bound(("tcp", self.port))

    async def curl(self, path: str, port: int, *options: str) -> Program:
        """What is at *path*."""
        return await self.run("curl", ["-sS", "--fail", *options, f"http://127.0.0.1:{port}{path}"])

    async def value(self, query: str) -> float | None:
        """What it has for *query*; None as long as there is none."""
        asked = await self.curl("/api/v1/query", self.port, "--get", "--data-urlencode", f"query={query}")
        found = json.loads(asked.output or "{}").get("data", {}).get("result", [])
        return float(found[0]["value"][1]) if found else None


class MetricsTests(InteropTestCase):
    """One service, and what Prometheus makes of it."""

    needs = (Prometheus, Sipp)

    async def test_scrape(self) -> None:
        """row:M10: configured as the page says Prometheus finds the figures of a service whose API wants a token,
        in OpenMetrics, and promtool has nothing against their names, the configuration and the alarms."""
        prometheus, service = self.peer(Prometheus), self.peer(Service)
        api = free_port()
        prometheus.write(api)
        listen = "--listen=tcp:port=0:interface=127.0.0.1"
        http = (f"--http={api}", f"--http-token-file={prometheus.token}")
        await service.start("--uri=sip:alice@a.example", listen, *http)
        uri = f"sip:alice@127.0.0.1:{service.port};transport=tcp"
        await self.peer(Sipp).request("MESSAGE", uri, ("127.0.0.1", service.port), "tcp", TEXT, calls=7)
        for what in (("config", "prometheus.yml"), ("rules", "alarms.yml")):
            judged = await prometheus.run("promtool", ["check", *what])
            self.assertEqual(judged.exit_code, 0, judged.report())
        page = await prometheus.curl("/metrics", api, "-H", f"Authorization: Bearer {TOKEN}")
        prometheus.write_files({"page": page.output})
        judged = await prometheus.run("sh", ["-c", "promtool check metrics < page"])
        self.assertEqual((judged.exit_code, judged.text.strip()), (0, ""))
        await prometheus.start()
        query = 'sip_p2p_requests_total{job="sip_p2p",direction="in",method="MESSAGE"}'
        found: list[float | None] = []

        async def look() -> bool:
            found.append(await prometheus.value(query))
            return found[-1] is not None

        while not await look():
            await until(prometheus.reactor, lambda: prometheus.program.exit_code is None, 1.0, "Prometheus")
        self.assertEqual(found[-1], 7)
        self.assertEqual(await prometheus.value('up{job="sip_p2p"}'), 1)
        buckets = 'sip_p2p_transaction_seconds_count{direction="in",method="MESSAGE"}'
        self.assertEqual(await prometheus.value(buckets), 7)
