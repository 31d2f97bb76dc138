"""Starting the servers and the load generator, each in a process of its own, and ending them by their process ids."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.plan import Plan, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ROOT", "Begun", "Server", "begin_python", "free_ports", "measure", "processors", "start_python"]

ROOT = Path(__file__).resolve().parent.parent
"""Where ``python -m benchmarks`` is to be started."""


class Server:
    """A server that runs in a process of its own.

    :ivar ports: where it listens, by transport.
    """

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], ports: dict[str, int], log: Path, grace: float = 5.0
    ) -> None:
        self.name = name
        self.ports = ports
        self._process = process
        self._log = log
        self._grace = grace

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self._process.pid

    def pids(self) -> list[int]:
        """The process and all its descendants."""
        found = [self._process.pid]
        for pid in found:
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
                    found += [int(child) for child in children.read().split()]
            except OSError:
                continue
        return found

    def check_alive(self) -> None:
        """
        :raises RuntimeError: when the process has ended, with the last of what it said.
        """
        if self._process.poll() is not None:
            said = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self.name} ended with status {self._process.returncode}: {said}")

    def accepts(self) -> bool:
        """Whether a TCP connection to it can be made."""
        try:
            socket.create_connection(("127.0.0.1", self.ports["tcp"]), timeout=1.0).close()
        except OSError:
            return False
        return True

    def blocks(self) -> int:
        """How many blocks of memory the interpreter of a Python server has in use, after a collection of garbage."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def ask(self, command: dict[str, float]) -> dict[str, float]:
        """Give a Python process that takes commands one, and wait for its answer.

        :raises RuntimeError: when it has ended, with the last of what it said.
        """
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(command).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            process.wait(self._grace)
            self.check_alive()
        answer: dict[str, float] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End it, and wait until it and its descendants have gone."""
        pids = self.pids()
        if self._process.stdin is not None:
            self._process.stdin.close()
        else:
            self._process.terminate()
        try:
            self._process.wait(self._grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        until = time.monotonic() + self._grace
        while any(Path(f"/proc/{pid}").exists() for pid in pids[1:]) and time.monotonic() < until:
            time.sleep(0.05)
        if self._process.stdout is not None:
            self._process.stdout.close()


class Begun:
    """A Python process that was started and is not ready yet."""

    def __init__(self, server: Server, process: subprocess.Popen[bytes]) -> None:
        self._server = server
        self._process = process

    def wait(self, seconds: float = 30.0) -> Server:
        """The process once it is ready.

        :raises RuntimeError: when it has ended, or *seconds* have passed.
        """
        server, process = self._server, self._process
        assert process.stdout is not None
        if select.select([process.stdout], [], [], seconds)[0]:
            line = process.stdout.readline()
            if line:
                server.ports = json.loads(line)
                return server
            process.wait(5.0)
        process.kill()
        process.wait()
        server.check_alive()
        raise RuntimeError(f"{server.name} did not start")


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """A port for each name that nothing listens on at the moment, TCP or UDP."""
    held = []
    ports = {}
    for name in names:
        while True:
            stream, datagram = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
            held += [stream, datagram]
            stream.bind(("127.0.0.1", 0))
            try:
                datagram.bind(stream.getsockname())
            except OSError:
                continue
            ports[name] = stream.getsockname()[1]
            break
    for each in held:
        each.close()
    return ports


def start_python(name: str, module: str, folder: Path, *arguments: str, root: Path = ROOT) -> Server:
    """Start ``python -m benchmarks.<module>`` and wait for the line that tells its ports."""
    return begin_python(name, module, folder, *arguments, root=root).wait()


def begin_python(name: str, module: str, folder: Path, *arguments: str, root: Path = ROOT) -> Begun:
    """Start ``python -m benchmarks.<module>``; what it is once it has said that it is ready.

    :param root: the checkout whose code it runs.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    return Begun(Server(name, process, {}, log), process)


def measure(plan: Plan) -> list[Result]:
    """Run the load generator on *plan* in a process of its own.

    :raises RuntimeError: when it failed, with its traceback.
    """
    values = asdict(plan)
    del values["targets"]
    command = [sys.executable, "-m", "benchmarks.load", values.pop("transport"), *map(str, plan.targets)]
    for name, value in values.items():
        if isinstance(value, bool):
            command += [f"--{name}"] if value else []
        else:
            command += [f"--{name.replace('_', '-')}", str(value)]
    turns = len(plan.targets) * (plan.rounds + 1)
    limit = 60 + turns * (plan.count / 200 if plan.count else plan.seconds + 1.0)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise RuntimeError(f"the load generator failed on {plan.transport}: {done.stderr[-3000:]}")
    return [Result(**json.loads(line)) for line in done.stdout.splitlines()]


def processors() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0))
