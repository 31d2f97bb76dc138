"""How many processes are asked for, and what of their options may not be the same."""

from __future__ import annotations

import os

from twisted.python import usage

from sip_p2p.service.process.worker import Seat, leave_seat, take_seat
from sip_p2p.service.settings.options import Options
from tests.support import SynchronousTestCase

PARTY = ("--uri", "sip:bob@b.example")
LISTEN = ("--listen", "tcp:0:interface=127.0.0.1")


class OptionTests(SynchronousTestCase):
    """The options as the parent and as a worker read them."""

    def parsed(self, *arguments: str) -> Options:
        """The service's options."""
        options = Options()
        options.parseOptions([*PARTY, *arguments])
        return options

    def refused(self, *arguments: str) -> str:
        """The one line with which *arguments* are refused."""
        return str(self.assertRaises(usage.UsageError, self.parsed, *arguments))

    def seated(self, number: int, *arguments: str) -> Options:
        """The same options, as a worker reads them."""
        take_seat(Seat(number, 3, ("tcp:systemd=own-0", "tcp:systemd=shared-0"), 9, False))
        self.addCleanup(leave_seat)
        return self.parsed(*arguments)

    def test_one_process(self) -> None:
        """Without --workers, and with one, there is one process, and everything may be shared."""
        for given in ((), ("--workers", "1")):
            options = self.parsed(*LISTEN, *given, "--trace", "x.jsonl")
            self.assertEqual((options.workers, options.seat), (1, None))

    def test_as_many_as_processors(self) -> None:
        """``auto`` is one worker on each processor that this process may use."""
        self.assertEqual(self.parsed(*LISTEN, "--workers", "auto").workers, len(os.sched_getaffinity(0)))

    def test_numbers_that_are_none(self) -> None:
        """A number of workers is from 1 to 64, and a port one that there is."""
        for text in ("0", "65", "-1", "two", "", "1.5"):
            self.assertIn("neither auto nor a number from 1 to 64", self.refused(*LISTEN, f"--workers={text}"))
        for text in ("0", "65536", "x"):
            self.assertIn("--worker-port", self.refused(*LISTEN, "--workers=2", f"--worker-port={text}"))
        self.assertIn("without --workers", self.refused(*LISTEN, "--worker-port", "5070"))

    def test_nothing_to_share(self) -> None:
        """Workers want something to share, of a kind that can be shared."""
        self.assertIn("there is no --listen", self.refused("--proxy", "tcp:127.0.0.1:9", "--workers", "2"))
        self.assertIn("UDP has no connections", self.refused("--listen", "udp:5060", "--workers", "2"))

    def test_files_of_one_worker(self) -> None:
        """A file or a port that only one process can have needs the worker's number in its name."""
        line = self.refused(*LISTEN, "--workers", "2", "--trace", "x.jsonl")
        self.assertEqual(line, "--trace x.jsonl would be the same for all --workers: put {worker} into it")
        self.parsed(*LISTEN, "--workers", "2", "--trace", "x-{worker}.jsonl")

    def test_in_a_worker(self) -> None:
        """A worker has its number in its values, a state folder of its own, and listens on what it was passed."""
        options = self.seated(
            2, *LISTEN, "--workers", "3", "--trace", "/x/{worker}.jsonl", "--state", "/s", "--redirect-to",
            "sip:spare-{worker}@b.example",
        )  # fmt: skip
        self.assertEqual((options["trace"], options["state"]), ("/x/2.jsonl", "/s/worker-2"))
        self.assertEqual(options.listen, ["tcp:systemd=own-0", "tcp:systemd=shared-0"])
        self.assertEqual(options.redirect_to, ["sip:spare-2@b.example"])
        self.assertEqual(self.seated(3, *LISTEN, "--workers=3", "--state", "/s/{worker}")["state"], "/s/3")
