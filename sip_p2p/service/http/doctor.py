"""The doctor as jobs: what is found out about the way to a peer, with the certificate and the rules of this service."""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python import usage

from sip_p2p.observe.text import in_words, printable
from sip_p2p.service.diagnosis.doctor import LISTENING, DoctorOptions, diagnose
from sip_p2p.service.http import descriptions
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer
from sip_p2p.service.settings.options import description_prefix

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from sip_p2p.service.diagnosis.findings import Finding
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer
    from sip_p2p.service.settings.options import Options

__all__ = ["MOST_JOBS", "MOST_RUNNING", "Jobs", "doctor_job", "doctor_jobs", "doctor_options", "start_doctor"]

MOST_RUNNING = 4
"""Jobs at a time; more are answered 429."""

MOST_JOBS = 32
"""Jobs that are remembered; the oldest that has ended gives way."""

_OWN = ("--timeout", "--json", "--config", "--version", "--help", "--help-limits")


@final
class _Job:
    """One of them."""

    def __init__(self, number: int, patient: str) -> None:
        self.number = number
        self._patient = patient
        self._created = time.time()
        self._ended: float | None = None
        self._outcome: dict[str, object] = {}
        self._running: Deferred[Any] | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is more to be found out."""
        return self._ended is None

    def run(self, running: Deferred[list[Finding]]) -> None:
        """It is under way."""
        self._running = running
        running.addCallbacks(self._found, self._failed)

    def cancel(self) -> None:
        """Find out no more."""
        if self._running is not None:
            self._running.cancel()

    def _found(self, findings: list[Finding]) -> None:
        self._ended = time.time()
        self._running = None
        self._outcome = {"findings": [each.as_json() for each in findings]}

    def _failed(self, failure: Failure) -> None:
        self._ended = time.time()
        self._running = None
        if failure.check(CancelledError):
            self._outcome = {"failure": {"error": "Cancelled", "words": "It was called off.", "remedy": ""}}
            return
        self._outcome = {"failure": descriptions.failure(failure)}

    def as_json(self) -> dict[str, object]:
        """It as the API has it."""
        state = "running" if self._ended is None else "failed" if "failure" in self._outcome else "done"
        said: dict[str, object] = {
            "id": str(self.number),
            "patient": self._patient,
            "state": state,
            "created": in_words(self._created),
        }
        if self._ended is not None:
            said["ended"] = in_words(self._ended)
        return said | self._outcome


@final
class Jobs:
    """Those that are remembered."""

    def __init__(self) -> None:
        self._kept: collections.OrderedDict[str, _Job] = collections.OrderedDict()
        self._count = 0

    @property
    def newest_first(self) -> list[dict[str, object]]:
        """What is remembered."""
        return [job.as_json() for job in reversed(self._kept.values())]

    def find(self, key: str) -> _Job:
        """The one of that number.

        :raises Problem: there is none, or none any more.
        """
        found = self._kept.get(key)
        if found is None:
            raise Problem("not-found", f"There is no job {printable(key)}, or none any more.")
        return found

    def start(self, reactor: Any, options: Options, patient: str) -> _Job:
        """Begin one.

        :raises Problem: too many run, or *patient* is no peer.
        """
        if sum(job.is_running for job in self._kept.values()) >= MOST_RUNNING:
            raise Problem("too-many", f"{MOST_RUNNING} jobs run already.", headers=[("Retry-After", "5")])
        asked = doctor_options(options, patient)
        self._count += 1
        job = self._kept[str(self._count)] = _Job(self._count, patient)
        job.run(Deferred.fromCoroutine(diagnose(reactor, asked)))
        while len(self._kept) > MOST_JOBS:
            oldest = next(key for key, each in self._kept.items() if not each.is_running)
            del self._kept[oldest]
        return job

    def cancel_all(self) -> None:
        """The service ends."""
        for job in tuple(self._kept.values()):
            job.cancel()


def doctor_options(options: Options, patient: str) -> DoctorOptions:
    """The command line of ``sip-p2p doctor`` for *patient*, as the service itself would have it.

    :raises Problem: *patient* is no URI of a peer. A description of a listener names files and ports, and that is not
        for who asks from elsewhere.
    """
    scheme = description_prefix(patient)
    if scheme in LISTENING or (scheme not in ("sip", "sips", "tel") and "@" not in patient):
        words = "it is not the URI of a peer, such as sip:bob@b.example"
        raise Problem("invalid-content", f"/patient: {words}.", errors=[{"pointer": "/patient", "detail": words}])
    asked = DoctorOptions()
    said = options.configuration.texts()
    # Of these the service knows by now where they are, and the folder may be another one than it was at the start.
    said |= {"trust": options.trust, "crl": options.crls}
    for name in ("certificate", "private-key", "first-use"):
        said[name] = [] if options[name] is None else [options[name]]
    arguments: list[str] = []
    for name, values in said.items():
        if f"--{name}" in _OWN:
            continue
        if f"{name}=" in asked.longOpt:
            arguments += [f"--{name}={value}" for value in values]
        elif name in asked.longOpt and values:
            arguments.append(f"--{name}")
    try:
        asked.parseOptions([*arguments, "--", patient])
    except usage.UsageError as error:
        raise Problem(
            "invalid-content", f"{error}.", errors=[{"pointer": "/patient", "detail": printable(str(error), 256)}]
        ) from None
    return asked


def start_doctor(server: ControlServer, call: Call) -> Answer:
    """Find out what is wrong on the way to a peer."""
    server.check_running()
    job = server.jobs.start(server.reactor, server.options, call.body["patient"])
    return Answer(job.as_json(), 202, headers=[("Location", f"/v1/doctor/{job.number}")])


def doctor_jobs(server: ControlServer, call: Call) -> Answer:
    """What is remembered of them, the newest first."""
    return Answer({"jobs": server.jobs.newest_first})


def doctor_job(server: ControlServer, call: Call) -> Answer:
    """One of them."""
    return Answer(server.jobs.find(call.parameters["id"]).as_json())
