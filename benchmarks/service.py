"""A service as an operator runs it, ``twistd sip-p2p``, in a process of its own, with a certificate of ``bob.example``.

The load comes from many connections of one identity and waits for nobody, so the bounds on that are raised.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.processes import ROOT, Server, free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.setting import Setting

__all__ = ["start_service"]

_TWISTD = "from twisted.scripts.twistd import run; run()"
_LIMITS = ("connections_per_identity=100000", "pending_requests=1000", "overload_lag=10")
_PATIENCE = 30.0


def start_service(name: str, setting: Setting, *options: str, root: Path = ROOT, processes: int = 1) -> Server:
    """Start it, and wait until it listens; ``{http}`` in an option stands for a free port, ``{folder}`` for a folder.

    :param options: besides who it is, where it listens with TLS, and whom it lets in.
    :param root: the checkout whose code it runs.
    :param processes: how many there are to be.
    :raises RuntimeError: it did not start, with the last of what it said.
    """
    # An HTTP API listens once the party does.
    free = free_ports(("tls", "http"))
    has_http = any("{http}" in option for option in options)
    ports = {"tls": free["tls"], "tcp": free["http" if has_http else "tls"], "http": free["http"]}
    folder = setting.folder / name.replace(" ", "-")
    folder.mkdir(exist_ok=True)
    log = folder / "log"
    command = [sys.executable, "-c", _TWISTD, "--nodaemon", "--pidfile=", "sip-p2p", "--uri", "sip:bob@bob.example"]
    command += ["--certificate", str(setting.server), "--trust", str(setting.trust), "--allow", "alice.example"]
    command += ["--listen", f"tls:port={ports['tls']}:interface=127.0.0.1", "--drain", "0"]
    command += [part for limit in _LIMITS for part in ("--limit", limit)]
    command += [option.replace("{http}", str(ports["http"])).replace("{folder}", str(folder)) for option in options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, "PYTHONPATH": str(root)},
        )  # fmt: skip
    server = Server(name, process, ports, log)
    until = time.monotonic() + _PATIENCE
    try:
        while time.monotonic() < until:
            server.check_alive()
            if len(server.pids()) >= processes and server.accepts():
                return server
            time.sleep(0.1)
        raise RuntimeError(f"{name} did not start: {log.read_text(errors='replace')[-2000:]}")
    except BaseException:
        server.stop()
        raise
