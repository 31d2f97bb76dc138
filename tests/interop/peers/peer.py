"""What every peer has: a folder, an address, one long-lived process, and a way to say what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tests.interop.peers.program import PeerFailed, Program, find_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Peer"]


class Peer:
    """A program that is not ours, in a folder of its own.

    :cvar packages: what to install for it.
    :cvar programs: the executables that it needs.
    :ivar reactor: Twisted's.
    :ivar directory: where its configuration goes, and what it writes.
    :ivar interface: the address on which it is found.
    :ivar wrapper: the command line that its own is appended to, if it runs on another host.
    """

    packages: ClassVar[str] = ""
    programs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, reactor: Any, directory: str, interface: str = "127.0.0.1") -> None:
        self.reactor = reactor
        self.directory = directory
        self.interface = interface
        self.wrapper: list[str] = []
        self._program: Program | None = None

    @property
    def host(self) -> str:
        """The address as it stands in a URI."""
        return f"[{self.interface}]" if ":" in self.interface else self.interface

    @classmethod
    def missing(cls) -> str | None:
        """What is not installed, or None."""
        return next((name for name in cls.programs if find_program(name) is None), None)

    @property
    def program(self) -> Program:
        """The process that :meth:`launch` started last.

        :raises PeerFailed: when there is none.
        """
        if self._program is None:
            raise PeerFailed(f"{type(self).__name__} was not started")
        return self._program

    def launch(
        self, name: str, *arguments: str, environment: Mapping[str, str] | None = None, kept: bool = True
    ) -> Program:
        """Start the executable *name* in the peer's folder.

        :param kept: whether it is the process that :meth:`stop` ends; who starts another one stops it.
        """
        program = Program(self.reactor, [*self.wrapper, find_program(name) or name, *arguments])
        program.start(self.directory, environment)
        if kept:
            self._program = program
        return program

    async def run(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None, seconds: float = 45.0
    ) -> Program:
        """Start the executable *name* and wait for its end.

        :raises PeerFailed: when that does not come within *seconds*; the process is ended then.
        """
        program = self.launch(name, *arguments, environment=environment, kept=False)
        try:
            await program.ended(seconds)
        finally:
            await program.stop()
        return program

    def write_files(self, texts: Mapping[str, str]) -> None:
        """Write files into the peer's folder."""
        for name, text in texts.items():
            with open(f"{self.directory}/{name}", "w", encoding="utf-8", newline="") as file:
                file.write(text)

    async def stop(self) -> None:
        """End what still runs."""
        if self._program is not None:
            await self._program.stop()
