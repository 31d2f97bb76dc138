"""Kamailio as a server to measure beside ours: mutual TLS, TCP and UDP on loopback, one worker, each MESSAGE answered
statefully (``t_newtran``, ``t_reply``), with the program as Debian ships it and otherwise its defaults."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.processes import Server, free_ports

__all__ = ["find", "start", "version"]

_PROXY = """\
#!KAMAILIO
debug=-1
log_stderror=yes
fork=yes
children=1
tcp_children=1
tcp_max_connections=4096
tls_max_connections=4096
dns=no
rev_dns=no
auto_aliases=no
enable_tls=yes
listen=tls:127.0.0.1:{tls}
listen=tcp:127.0.0.1:{tcp}
listen=udp:127.0.0.1:{udp}
loadmodule "tls.so"
loadmodule "tm.so"
modparam("tls", "config", "{folder}/tls.cfg")

request_route {{
    t_newtran();
    t_reply("200", "OK");
}}
"""

_TLS = """\
[server:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
certificate = {certificate}
private_key = {certificate}
ca_list = {trust}

[client:default]
method = TLSv1.2+
verify_certificate = yes
certificate = {certificate}
private_key = {certificate}
ca_list = {trust}
"""


def find() -> str | None:
    """The path of the program, or None where Kamailio or its TLS module is not installed."""
    program = shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin")
    if program is None or not any(Path("/usr/lib").glob("**/kamailio/modules/tls.so")):
        return None
    return program


def version(program: str) -> str:
    """What it calls itself, for example ``kamailio 5.6.3``."""
    output = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"kamailio ([0-9.]+)", output)
    return f"Kamailio {match[1]}" if match else "Kamailio"


def start(program: str, folder: Path, certificate: Path, trust: Path, allocator: str = "") -> Server:
    """Start it with a configuration written to *folder* and wait until all its processes are there.

    :param allocator: what to give to its ``-x`` and ``-X`` (``fm``, ``qm``, ``tlsf``) instead of its default.
    """
    ports = free_ports(("tls", "tcp", "udp"))
    work = folder / "kamailio"
    work.mkdir(exist_ok=True)
    (work / "tls.cfg").write_text(_TLS.format(certificate=certificate, trust=trust))
    configuration = work / "kamailio.cfg"
    configuration.write_text(_PROXY.format(folder=work, **ports))
    # -DD stays in the foreground, so that ending it by its process id ends its children too. The shared memory (-m)
    # must hold every transaction of the last five seconds, which is how long its tm module keeps a finished one.
    command = [program, "-f", str(configuration), "-DD", "-E", "-m", "1024", "-M", "16"]
    command += ["-Y", str(work), "-w", str(work)]
    if allocator:
        command += ["-x", allocator, "-X", allocator]
    log = work / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    server = Server("Kamailio", process, ports, log, grace=10.0)
    count, since = 0, time.monotonic()
    while time.monotonic() - since < 10.0:
        server.check_alive()
        time.sleep(0.3)
        before, count = count, len(server.pids())
        if count > 3 and count == before and server.accepts():
            return server
    server.stop()
    raise RuntimeError(f"Kamailio did not start: {log.read_text(errors='replace')[-2000:]}")
