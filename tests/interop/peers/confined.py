"""A program under what a unit of systemd forbids it: the system calls, the families of sockets, the memory.

``python -m tests.interop.peers.confined UNIT PROGRAM ARGUMENTS`` puts on itself, by libseccomp as systemd does, what
the unit's ``SystemCallFilter=``, ``RestrictAddressFamilies=`` and ``MemoryDenyWriteExecute=`` say, and becomes the
program. What is forbidden by namespaces and by capabilities is left out: it needs the privileges of systemd itself.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import socket
import subprocess
import sys
from typing import Any

__all__ = ["LIBRARY", "confine", "named", "settings"]

LIBRARY = ctypes.util.find_library("seccomp")

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_MASKED_EQUAL = 7
_EPERM, _EAFNOSUPPORT = 1, 97
_WRITE, _EXECUTE = 2, 4
_NO_NEW_PRIVILEGES = 38


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def settings(path: str) -> dict[str, list[str]]:
    """What the service's section of the unit *path* says: all values of each name."""
    found: dict[str, list[str]] = {}
    with open(path, encoding="ascii") as file:
        for line in file:
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith(("#", "[")):
                found.setdefault(name, []).append(value)
    return found


def named(sets: str) -> set[str]:
    """The system calls of systemd's *sets*, such as ``@system-service``."""
    calls: set[str] = set()
    for each in sets.split():
        if not each.startswith("@"):
            calls.add(each)
            continue
        done = subprocess.run(["systemd-analyze", "syscall-filter", each], capture_output=True, text=True, check=True)
        lines = [line.strip() for line in done.stdout.splitlines()[1:]]
        calls |= named(" ".join(line for line in lines if line and not line.startswith("#")))
    return calls


def allowed(values: list[str]) -> set[str]:
    """The system calls that the values of ``SystemCallFilter=`` leave."""
    calls = named("@default")
    for value in values:
        if value.startswith("~"):
            calls -= named(value[1:])
        else:
            calls |= named(value)
    return calls


class _Filter:
    """One filter of libseccomp."""

    def __init__(self, otherwise: int) -> None:
        self._library: Any = ctypes.CDLL(LIBRARY, use_errno=True)
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._library.seccomp_init.argtypes = [ctypes.c_uint32]
        self._context = ctypes.c_void_p(self._library.seccomp_init(otherwise))

    def rule(self, action: int, call: str, *comparisons: _Comparison) -> None:
        """Let *action* be the answer to a *call* whose arguments are as *comparisons* say."""
        number = self._library.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return
        array = (_Comparison * len(comparisons))(*comparisons)
        code = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(comparisons), array
        )
        if code:
            raise OSError(-code, f"{call}: {os.strerror(-code)}")

    def load(self) -> None:
        """Have it hold from now on, for this process and its children."""
        code = self._library.seccomp_load(self._context)
        if code:
            raise OSError(-code, os.strerror(-code))


def confine(unit: dict[str, list[str]]) -> None:
    """Put on this process what *unit* says."""
    calls = allowed(unit["SystemCallFilter"])
    families = [int(getattr(socket, name)) for value in unit["RestrictAddressFamilies"] for name in value.split()]
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    filters = []
    sockets = _Filter(_ALLOW)
    # All comparisons of one rule have to hold, and one filter compares an argument once: below and above the families.
    for family in set(range(64)) - set(families):
        sockets.rule(_ERRNO | _EAFNOSUPPORT, "socket", _Comparison(0, _MASKED_EQUAL, 0xFFFFFFFF, family))
    filters.append(sockets)
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        memory = _Filter(_ALLOW)
        both = _WRITE | _EXECUTE
        memory.rule(_ERRNO | _EPERM, "mmap", _Comparison(2, _MASKED_EQUAL, both, both))
        memory.rule(_ERRNO | _EPERM, "mprotect", _Comparison(2, _MASKED_EQUAL, _EXECUTE, _EXECUTE))
        filters.append(memory)
    only = _Filter(_KILL)
    # What is still to come of our own: the other filters are loaded before this one.
    for call in calls | {"execve"}:
        only.rule(_ALLOW, call)
    for each in (*filters, only):
        each.load()


if __name__ == "__main__":
    confine(settings(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
