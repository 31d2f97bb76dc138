"""What ``--check`` says of options whatever they are for: each with its value and where that comes from, and the files.

It goes by the table of options, so that one which is added is explained without a word here: a text that begins with
*file with* or *PEM file* names a file that is read, one that begins with *write* a file that is made.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from sip_p2p.observe.redact import without_passwords
from sip_p2p.observe.text import printable
from sip_p2p.service.diagnosis.findings import Finding
from sip_p2p.service.settings.config import COMMAND_LINE, OFF
from sip_p2p.service.settings.option_table import PREFIX, OptionKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sip_p2p.service.diagnosis.findings import Report
    from sip_p2p.service.settings.option_table import Option
    from sip_p2p.service.settings.options import Options, PartyOptions

__all__ = ["can_write", "check_config", "check_files", "explain_options", "exposed_key", "readable_by_others"]

_READ = re.compile(r"(?:with --[a-z]+ [a-z]+: )?(?:PEM )?file with(?![a-z])")
_WRITTEN = re.compile(r"write(?![a-z]).* to this file(?![a-z])")
_SECRET = re.compile(r"(?:^|-)(?:secret|token|password)-file\Z")
_JUDGED = ("certificate", "private-key")
"""Files of which more is said elsewhere than whether they can be read."""
_IN_URL = re.compile(r"(?<=://)[^/@ \t\r\n]*@|\?[^ \t\r\n]*")


def explain_options(options: Options) -> Iterator[Finding]:
    """Every option that a file can hold, with what it is and who says so; first those that somebody has given."""
    configuration = options.configuration
    known = [option for option in configuration.options.values() if not option.is_for_command_line]
    for option in sorted(known, key=lambda option: not configuration.given.get(option.name)):
        given = configuration.given.get(option.name, [])
        place = configuration.place_of(option.name)
        if not given:
            what = "not given" if option.default is None else f"{option.default}, as usual"
            yield Finding.ok(f"--{option.name}", "default", what)
            continue
        what = ", ".join(_shown(option, value.text) for value in given)
        yield Finding.ok(f"--{option.name}", _cause(place), f"{what}, from {place}")


def _shown(option: Option, text: str) -> str:
    if option.kind is OptionKind.FLAG:
        return "off" if text == OFF else "on"
    if "sip:" in text or "sips:" in text:
        text = without_passwords(text)
    # What is secret in a URL stands before its host or behind its path.
    return printable(_IN_URL.sub(lambda found: "...@" if found[0].endswith("@") else "?...", text), 200)


def _cause(place: str) -> str:
    return {COMMAND_LINE: "command-line"}.get(place, "environment" if place.startswith(PREFIX) else "file")


def check_config(options: Options, report: Report) -> None:
    """The file of ``--config``, and what in the environment looks like an option."""
    path = options.configuration.file
    if path is not None:
        report.ok("config", f"{path} was read; SIGHUP reads it anew")
        if stat.S_IMODE(os.stat(path).st_mode) & stat.S_IWOTH:
            report.note("config", f"{path} can be written by everybody: chmod o-w it", cause="config-writable")
    for variable in options.configuration.strangers:
        report.note("environment", f"{variable} is no option, and nobody reads it here", cause="unknown-variable")


def check_files(options: Options, report: Report) -> None:
    """Every file that an option names, by its text: whether it can be read or made, and who else may read secrets."""
    for option in options.configuration.options.values():
        path = None if option.kind is not OptionKind.VALUE or option.name in _JUDGED else options[option.name]
        if not isinstance(path, str):
            continue
        if _WRITTEN.search(option.text):
            if os.path.isdir(path) or not os.path.isdir(os.path.dirname(path)) or not can_write(path):
                remedy = "name a file in a folder that you may write to"
                report.wrong(option.name, f"{path} cannot be written: {remedy}", cause="not-writable")
            else:
                report.ok(option.name, f"it goes to {path}", cause="writable")
        elif _READ.match(option.text):
            _check_read(option, path, report)


def _check_read(option: Option, path: str, report: Report) -> None:
    try:
        with open(path, "rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        report.wrong(option.name, f"{path} cannot be read: {error.strerror}", cause="not-readable")
        return
    if is_empty:
        report.wrong(option.name, f"{path} is empty", cause="empty")
        return
    report.ok(option.name, f"{path} can be read", cause="readable")
    if _SECRET.search(option.name) and readable_by_others(path):
        report.note(option.name, readable_by_others(path), cause="secret-exposed")


def exposed_key(options: PartyOptions) -> str:
    """What is to be said of a private key that other users of the machine may read; empty where they may not."""
    key = options["private-key"] or options["certificate"]
    return "" if key is None else readable_by_others(key)


def readable_by_others(path: str) -> str:
    """What is to be said of a secret that other users of the machine may read; empty where they may not.

    :raises OSError: the file is not there.
    """
    mode = stat.S_IMODE(os.stat(path).st_mode)
    return f"{path} can be read by others (mode {mode:04o}): chmod 600 it" if mode & 0o077 else ""


def can_write(path: str) -> bool:
    """Whether a file could be made or written; its missing folders are for a start to make."""
    if os.path.exists(path):
        return os.access(path, os.W_OK)
    folder = os.path.dirname(path)
    while folder and not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
