"""Run every benchmark and print its tables, with what was to be reached beside what was measured: ``make bench``."""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import (
    calls,
    canary,
    console,
    dialogs,
    endurance,
    exchange,
    handshakes,
    idle,
    kamailio,
    keeping,
    looking,
    memory,
    notifications,
    parse,
    proofs,
    sending,
    transactions,
    webhooks,
    workers,
)
from benchmarks.report import goals_table, machine, speed
from benchmarks.setting import FULL, QUICK, Setting

__all__ = ["main"]


def main() -> int:
    """Run everything; the exit status is 0 whether or not the goals were met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the time, and less exact")
    parser.add_argument("--without-kamailio", action="store_true", help="leave Kamailio out although it is installed")
    options = parser.parse_args()
    began = time.monotonic()
    scale = QUICK if options.quick else FULL
    program = None if options.without_kamailio else kamailio.find()
    print(machine())
    print(kamailio.version(program) if program else "Kamailio is left out, or not installed")
    print(speed(), flush=True)
    timed = parse.measure_parsing(scale)
    print(parse.tables(timed), flush=True)
    print(transactions.tables(transactions.measure_transactions(scale)), flush=True)
    goals = parse.goals(timed)
    with Setting(scale) as setting:
        servers = exchange.SERVERS if program else exchange.SERVERS[:-1]
        figures = exchange.measure_exchanges(setting, servers=servers)
        print(exchange.tables(figures), flush=True)
        goals += exchange.goals(figures)
        print(sending.tables(sending.measure_sending(setting)), flush=True)
        print(calls.tables(calls.measure_calls(setting)), flush=True)
        connections = handshakes.measure_handshakes(setting)
        print(handshakes.tables(connections), flush=True)
        goals += handshakes.goals(connections)
        songs = canary.measure_canary(setting)
        print(canary.tables(songs), flush=True)
        goals += canary.goals(songs)
        endured = endurance.measure_endurance(setting)
        print(endurance.tables(endured), flush=True)
        goals += endurance.goals(endured)
        peers = idle.measure_idle(setting)
        print(idle.tables(peers), flush=True)
        goals += idle.goals(peers)
        held, growth = memory.measure_memory(setting)
        print(memory.tables(held, growth), flush=True)
        goals += memory.goals(held, growth)
        standing, calls_growth = dialogs.measure_dialogs(setting)
        print(dialogs.tables(standing, calls_growth), flush=True)
        goals += dialogs.goals(standing, calls_growth)
        told, watched = notifications.measure_notifications(setting)
        print(notifications.tables(told, watched), flush=True)
        goals += notifications.goals(watched)
        print(proofs.tables(proofs.measure_proofs(setting)), flush=True)
        print(keeping.tables(*keeping.measure_keeping(setting)), flush=True)
        print(looking.tables(looking.measure_looking(setting)), flush=True)
        print(webhooks.tables(webhooks.measure_webhooks(setting)), flush=True)
        seen = console.measure_console(setting)
        print(console.tables(seen), flush=True)
        goals += console.goals(seen)
        print(workers.tables(workers.measure_workers(setting)))
    print(goals_table(goals))
    print(f"\n{speed()}; the run took {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
