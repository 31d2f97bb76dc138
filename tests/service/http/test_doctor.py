"""The doctor as jobs."""

from __future__ import annotations

from sip_p2p.service.http.doctor import MOST_JOBS, MOST_RUNNING, doctor_options
from sip_p2p.service.http.problems import Problem
from tests.service.http.support import ApiCase
from tests.service.support import keys, parsed
from tests.support import SynchronousTestCase


class JobTests(ApiCase):
    """Jobs of a service."""

    arguments = ("--resolve", "b.example=10.0.0.2:5061", "--limit", "connect_timeout=3")

    def test_a_job(self) -> None:
        """A job runs beside the service, and its findings are what the command prints."""
        got = self.ask("POST", "/v1/doctor", {"patient": "sip:user@b.example;transport=tcp"})
        self.assertEqual((got.status, got.json["state"]), (202, "running"))
        self.network.advance(40)
        found = self.get(got.headers["location"])
        self.assertEqual(found["state"], "done")
        self.assertTrue(all(each["what"] for each in found["findings"]))
        self.assertEqual(self.get("/v1/doctor")["jobs"], [found])

    def test_no_patient(self) -> None:
        """A description of a listener is refused: it names files and ports of this machine."""
        for patient in (
            "tls:port=0:certKey=/etc/hostname",
            "nobody",
            "--help",
            "tcp:0",
            "sip:",
            "tls:port=0:certKey=/etc/hostname:privateKey=user@b.example",
            "HAPROXY:unix:/run/user@b.example",
        ):
            self.assert_problem(self.ask("POST", "/v1/doctor", {"patient": patient}), 422, "invalid-content")
        self.assert_problem(self.ask("GET", "/v1/doctor/1"), 404, "not-found")

    def test_bounds(self) -> None:
        """Only so many run at a time, and only so many are remembered."""
        patient = {"patient": "sip:user@b.example;transport=tcp"}
        for status in (*[202] * MOST_RUNNING, 429):
            self.client.clear()
            self.client.ask("POST", "/v1/doctor", patient)
            self.assertEqual(self.client.got.status, status)
        self.assert_problem(self.client.got, 429, "too-many")
        for _ in range(MOST_JOBS):
            self.network.advance(40)
            self.ask("POST", "/v1/doctor", patient)
        self.assertEqual(len(self.get("/v1/doctor")["jobs"]), MOST_JOBS)
        self.assert_problem(self.ask("GET", "/v1/doctor/1"), 404, "not-found")


class OptionTests(SynchronousTestCase):
    """What the doctor is told."""

    def test_as_the_service(self) -> None:
        """The doctor goes with the certificate, the authorities and the bounds of the service."""
        folder = keys()
        options = parsed(
            "--uri=sip:user@a.example",
            f"--certificate={folder}/a.example.pem",
            f"--trust={folder}/ca.pem",
            "--listen=tls:port=5061",
            "--resolve=b.example=127.0.0.1:9",
            "--no-alpn",
            "--limit=attempts=2",
            "--http=8080",
        )
        asked = doctor_options(options, "sip:user@b.example")
        self.assertEqual((asked["certificate"], asked.trust), (f"{folder}/a.example.pem", [f"{folder}/ca.pem"]))
        self.assertEqual((str(asked.target), asked.limits.attempts), ("sip:user@b.example", 2))
        self.assertEqual(asked.addresses, {"b.example": ("127.0.0.1", 9)})
        self.assertTrue(asked["no-alpn"])
        self.assertRaises(Problem, doctor_options, options, "sip:user@b.example:x")
