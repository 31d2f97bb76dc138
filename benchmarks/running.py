"""How the processes of the benchmarks that are Python run: with a log on standard error, and under the profiler where
that is asked for."""

from __future__ import annotations

import cProfile

from twisted.internet import reactor
from twisted.logger import globalLogPublisher, textFileLogObserver

__all__ = ["run"]


def run(profile: str | None = None) -> None:
    """Run the reactor until it is stopped.

    :param profile: the file that gets cProfile's statistics at the end.
    """
    globalLogPublisher.addObserver(textFileLogObserver(open("/dev/stderr", "w", encoding="utf-8")))  # noqa: SIM115
    if profile is None:
        reactor.run()
        return
    profiler = cProfile.Profile()
    profiler.runcall(reactor.run)
    profiler.dump_stats(profile)
