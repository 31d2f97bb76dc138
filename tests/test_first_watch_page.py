"""docs/first_watch.rst: whoever types it from the first line to the last sees what it says."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.manual import ROOT, blocks
from tests.pages import PageCase

if TYPE_CHECKING:
    from tests.interop.peers.program import Program

PAGE = ROOT / "docs/first_watch.rst"


class LessonTests(PageCase):
    """The lesson, in one folder."""

    page_ports = ("5062",)

    async def guard_on_duty(self) -> Program:
        """The guard, as soon as he listens."""
        guard = self.start("python guard.py")
        await guard.find("the guard is on duty")
        return guard

    async def relieved(self, guard: Program) -> None:
        """Ctrl-C."""
        os.kill(guard.pid, signal.SIGINT)
        await guard.ended()

    async def test_from_the_first_line_to_the_last(self) -> None:
        """A guard is watched, leaves and comes back, and an alarm outlives the program that raised it
        (row:J1, row:J5, row:J12)."""
        pki, guard_starts, watch_starts, raised, killed, again = blocks(PAGE, "sh")
        self.assertEqual((guard_starts.strip(), watch_starts.strip()), ("python guard.py", "python watch.py"))
        for name, program in zip(("guard", "watch", "alarm"), blocks(PAGE, "python"), strict=True):
            (self.folder / f"{name}.py").write_text(self.text(program), "utf-8")
        await self.done(pki)

        guard = await self.guard_on_duty()
        house = self.start(watch_starts)
        await house.find("the guard is there")
        guard.write("at lunch\n")
        away = await house.find("the guard is away: at lunch")
        await self.relieved(guard)
        left = await house.find("the subscription is WAITING_FOR_RETRY", start=away.end())
        guard = await self.guard_on_duty()
        await house.find("the guard is there", start=left.end(), seconds=30)
        await self.relieved(guard)

        alarm = self.start(raised)
        await alarm.find("^smoke-1 is queued")
        self.assertIn("pkill -9 ", killed)
        os.kill(alarm.pid, signal.SIGKILL)
        await alarm.ended()
        self.assertEqual(again.split("\n")[0], guard_starts.strip())
        guard = await self.guard_on_duty()
        second = self.start(again.splitlines()[1])
        await guard.find("^ALARM from house - smoke in room 7$")
        await second.find("^smoke-1 is delivered$")
