"""Writes the man pages and the sample of a configuration file from the option classes.

::

    python tools/manpages.py            writes packaging/man/* and packaging/sip-p2p.toml
    python tools/manpages.py --check    fails when one of them is not what the classes say

``sip-p2p(1)`` and one page for each of its commands, ``sip-p2p(8)`` for the service, ``sip-p2p.toml(5)`` for its file.
The pages are for the macros of man(7), and hold no date: what is written twice is the same.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

__all__ = ["main", "pages"]

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from twisted.python import usage  # noqa: E402

import sip_p2p  # noqa: E402
from sip_p2p.service.cli import SipOptions  # noqa: E402
from sip_p2p.service.settings.command_line import CommandOptions  # noqa: E402
from sip_p2p.service.settings.config_file import LIMITS  # noqa: E402
from sip_p2p.service.settings.option_table import Option, OptionKind, option_table  # noqa: E402
from sip_p2p.service.settings.options import Options, PartyOptions  # noqa: E402
from sip_p2p.service.settings.peer_options import limit_words  # noqa: E402
from sip_p2p.service.settings.reconfiguration import RELOADED  # noqa: E402
from sip_p2p.service.words import ExitCode  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

MAN = "packaging/man"
SAMPLE = "packaging/sip-p2p.toml"

_MARKUP = re.compile(r"``(.+?)``|:\w+:`[.~!]*([^`]+)`")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
_LIMIT = re.compile(r"(\S+) = (\S+): (.*)")
_FIRST = (PartyOptions, Options)
"""What stands at the top: who the party is and what the service does."""

_EXAMPLE = {
    "uri": '"sip:alice@a.example"',
    "certificate": '"/etc/sip-p2p/keys/a.example.pem"',
    "trust": '["/etc/sip-p2p/keys/ca.pem"]',
    "listen": '["tls:port=5061"]',
    "allow": '["b.example"]',
    "state": '"/var/lib/sip-p2p"',
    "drain": "10",
}
"""A party that would start: the example of the page."""

_HANDED_OVER = ("certificate", "trust")
"""What the units of systemd hand over: commented out in the sample, which is for these."""

_INSTEAD = {**{name: _EXAMPLE[name] for name in _HANDED_OVER}, "pin": '["NAME=sha256/..."]'}
"""What the sample shows, commented out, in the place of a placeholder."""

_RELOAD = (
    "SIGHUP has a running service read the file again. A mistake changes nothing, and the log says what a start would "
    "have said. What is taken over at once holds for what begins from then on: {names}. A change of any other option "
    "is named in the log, and waits for a restart."
)
_ORDER = (
    "An option is taken from the command line, or else from the file, or else from the environment. One that may be "
    "given several times is taken from one of them as a whole; only bounds are each taken by themselves."
)
_FILE = (
    "TOML 1.0, in UTF-8. Every option of the service stands there by its long name without the dashes: text or a "
    "number for one that takes a value, true or false for a flag, a list for one that may be given several times. "
    "Bounds stand in the table [limits]. Names of files are meant from the folder in which the service is started. A "
    "mistake is told with the file, the line and the key."
)
_ENVIRONMENT = (
    "SIP_P2P_ and the name of an option, in capitals and with underscores, is that option: "
    "SIP_P2P_FINISH_SESSIONS=30. A flag is 1, true, yes or on, or 0, false, no or off. Several values stand with "
    "blanks between them, quoted as for a shell. An empty variable is none. SIP_P2P_CONFIG names the file."
)
_OUTCOME = "0 after a stop, 1 where it cannot start; after --check, 0 if it would start and 1 if not."
_PREAMBLE = (
    "The options of a SIP party, for `twistd sip-p2p --config FILE`. A line that is commented out shows an option that "
    "is not in use, with what it usually is where that is anything. The units of systemd hand certificate and trust "
    "over by themselves; everybody else needs these two."
)


def pages() -> dict[str, str]:
    """Every file that is written, by its path below the root, and what is to stand there."""
    found = {f"{MAN}/sip-p2p.1": _command_page(), f"{MAN}/sip-p2p.8": _service_page()}
    found[f"{MAN}/sip-p2p.toml.5"] = _file_page()
    for name, _, later, text in SipOptions.subCommands:
        found[f"{MAN}/sip-p2p-{name}.1"] = _subcommand_page(name, later.kind, text)
    found[SAMPLE] = _sample()
    return found


def _plain(text: str) -> str:
    """A text without the marks of reStructuredText, in one line."""
    return " ".join(_MARKUP.sub(lambda found: found[1] or found[2], text).split())


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _roff(text: str) -> str:
    """A paragraph; what looks like an option stands out."""
    parts, end = [], 0
    for found in _OPTION.finditer(text):
        parts += [_escaped(text[end : found.start()]) if end == 0 else _inner(text[end : found.start()])]
        parts.append(f"\\fB{_inner(found[0])}\\fR")
        end = found.end()
    parts.append(_escaped(text[end:]) if end == 0 else _inner(text[end:]))
    return "".join(parts)


def _inner(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


def _head(name: str, section: int, purpose: str) -> list[str]:
    title = f'.TH "{_inner(name.upper())}" "{section}" "" "sip_p2p {sip_p2p.__version__}" "sip_p2p"'
    return [title, ".nh", ".ad l", ".SH NAME", f"{_inner(name)} \\- {_inner(purpose)}"]


def _synopsis(text: str) -> list[str]:
    return [".SH SYNOPSIS", _roff(text.removeprefix("Usage: "))]


def _groups(kind: type[CommandOptions]) -> Iterator[tuple[str, list[Option]]]:
    """The options of *kind* by the class in which they stand, and what that class says of itself."""
    table = option_table(kind)
    others = [group for group in dict.fromkeys(option.group for option in table) if group not in _FIRST]
    order: list[type[usage.Options]] = [*_FIRST, *others]
    for group in order:
        options = [option for option in table if option.group is group]
        title = _plain((group.__doc__ or "").strip().partition("\n\n")[0]) if group is not kind else ""
        if options:
            options.sort(key=lambda option: option.kind is OptionKind.ACTION)
            yield (title.partition(": ")[0].rstrip(".") if issubclass(group, CommandOptions) else ""), options


def _options(kind: type[CommandOptions], section: str = "OPTIONS") -> list[str]:
    lines = [f".SH {section}"]
    for title, options in _groups(kind):
        if title:
            lines += [f'.SS "{_inner(title)}"']
        for option in options:
            short = f"\\fB\\-{option.short}\\fR, " if option.short else ""
            value = f" \\fI{_inner(option.placeholder)}\\fR" if option.takes_value else ""
            lines += [".TP", f"{short}\\fB\\-\\-{_inner(option.name)}\\fR{value}", _roff(_described(option))]
    return lines


def _described(option: Option) -> str:
    text = _plain(option.text)
    text = text[:1].upper() + text[1:] if not text[:2].isupper() else text
    if option.default is not None:
        text += f". Usually {option.default}"
    return f"{text}."


def _exits() -> list[str]:
    lines = ['.SH "EXIT STATUS"']
    for code in ExitCode:
        lines += [".TP", f"\\fB{int(code)}\\fR", _roff(code.meaning)]
    return lines


def _see(*names: str) -> list[str]:
    listed = ", ".join(f"\\fB{_inner(name[:-3])}\\fR{name[-3:]}" for name in names)
    return ['.SH "SEE ALSO"', listed]


def _page(*parts: list[str]) -> str:
    return "\n".join(line for part in parts for line in part) + "\n"


def _command_page() -> str:
    commands = [".SH COMMANDS"]
    for name, _, _, text in SipOptions.subCommands:
        commands += [".TP", f"\\fB{_inner(name)}\\fR", _roff(f"{_plain(text)}; sip-p2p-{name}(1)")]
    return _page(
        _head("sip-p2p", 1, "send, ask, call and look, as a SIP party that proves who it is"),
        _synopsis(SipOptions.synopsis),
        [".SH DESCRIPTION", _roff(
            "A SIP party for the length of one command: it sends or calls, says what became of it, and leaves. The "
            "service that stays is sip-p2p(8)."
        )],
        commands,
        _options(SipOptions),
        _exits(),
        _see(*(f"sip-p2p-{name}(1)" for name, _, _, _ in SipOptions.subCommands), "sip-p2p(8)"),
    )  # fmt: skip


def _subcommand_page(name: str, kind: type[CommandOptions], text: str) -> str:
    description = _plain(str(getattr(kind, "longdesc", "") or text))
    return _page(
        _head(f"sip-p2p-{name}", 1, _plain(text)),
        _synopsis(str(getattr(kind, "synopsis", "") or f"sip-p2p {name} [options]")),
        [".SH DESCRIPTION", _roff(description)],
        _options(kind),
        _exits(),
        _see("sip-p2p(1)", "sip-p2p(8)"),
    )


def _service_page() -> str:
    signals = [".SH SIGNALS"]
    for name, text in (
        ("SIGHUP", "reads the configuration, certificates, keys, authorities and revocation lists again, and opens the "
                   "log and the trace anew"),
        ("SIGTERM, SIGINT", "stop: nothing new is taken, and what is in flight has the time of --drain; the second one "
                            "does not wait"),
        ("SIGUSR1", "rotates the log of twistd"),
    ):  # fmt: skip
        signals += [".TP", f"\\fB{name}\\fR", _roff(text)]
    return _page(
        _head("sip-p2p", 8, "a SIP party as a service"),
        _synopsis(Options.synopsis),
        [".SH DESCRIPTION", _roff(_plain(Options.longdesc)), ".PP", _roff(_ORDER)],
        _options(Options),
        [".SH FILES", ".TP", "\\fB/etc/sip\\-p2p/sip\\-p2p.toml\\fR", _roff("Where the file of --config usually is.")],
        [".SH ENVIRONMENT", _roff(_ENVIRONMENT)],
        signals,
        ['.SH "EXIT STATUS"', _roff(_OUTCOME)],
        _see("sip-p2p(1)", "sip-p2p.toml(5)", "twistd(1)"),
    )  # fmt: skip


def _file_page() -> str:
    keys = [".SH KEYS"]
    kinds = {OptionKind.FLAG: "true or false", OptionKind.VALUE: "text or number", OptionKind.LIST: "list"}
    for _, options in _groups(Options):
        for option in options:
            if not option.is_for_command_line:
                keys += [".TP", f"\\fB{_inner(option.name)}\\fR ({kinds[option.kind]})", _roff(_described(option))]
    limits = ['.SH "THE TABLE [limits]"', _roff("Times are in seconds, sizes in octets.")]
    for name, usual, text in _limits():
        limits += [".TP", f"\\fB{_inner(name)}\\fR = {_inner(usual)}", _roff(text)]
    names = ", ".join(sorted(RELOADED))
    example = [".SH EXAMPLE", ".EX"]
    example += [_escaped(f"{name} = {value}") for name, value in _EXAMPLE.items()]
    example += ["", _escaped(f"[{LIMITS}]"), "idle_timeout = 300", ".EE"]
    return _page(
        _head("sip-p2p.toml", 5, "the options of a SIP party in a file"),
        [".SH DESCRIPTION", _roff(_FILE), ".PP", _roff(_ORDER)],
        keys,
        limits,
        [".SH RELOADING", _roff(_RELOAD.format(names=names))],
        example,
        _see("sip-p2p(8)"),
    )


def _limits() -> Iterator[tuple[str, str, str]]:
    """Each bound, its usual value, and what it bounds."""
    for line in limit_words().splitlines():
        found = _LIMIT.fullmatch(line)
        if found is not None:
            yield found[1], found[2], found[3]


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _sample() -> str:
    lines = [
        *_comment(_PREAMBLE),
        *_comment(_ORDER),
        *_comment("`twistd sip-p2p --config FILE --check` explains all of it; sip-p2p.toml(5) has the rules."),
        "",
    ]
    for title, options in _groups(Options):
        shown = [option for option in options if not option.is_for_command_line]
        if shown:
            lines += [f"## {title or 'The service itself'}", ""]
        for option in shown:
            lines += [*_comment(_described(option)), _setting(option), ""]
    lines += [*_comment("Bounds on what a peer can make the party hold or wait for."), f"[{LIMITS}]"]
    for name, usual, text in _limits():
        lines += ["", *_comment(f"{text[:1].upper()}{text[1:]}"), f"#{name} = {usual}"]
    return "\n".join(lines) + "\n"


def _setting(option: Option) -> str:
    if option.name in _INSTEAD:
        return f"#{option.name} = {_INSTEAD[option.name]}"
    if option.name in _EXAMPLE:
        return f"{option.name} = {_EXAMPLE[option.name]}"
    if option.kind is OptionKind.FLAG:
        return f"#{option.name} = false"
    value = option.default if option.default is not None else option.placeholder
    shown = value if value.isdigit() else f'"{value}"'
    return f"#{option.name} = [{shown}]" if option.kind is OptionKind.LIST else f"#{option.name} = {shown}"


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the files, or check them; a page of a command that is gone goes too."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail when a file is not what it should be")
    options = parser.parse_args(arguments)
    wanted = pages()
    there = {path.relative_to(root).as_posix() for path in (root / MAN).glob("*") if path.is_file()}
    different = [
        name
        for name in sorted({*wanted, *there})
        if not (root / name).is_file() or name not in wanted or (root / name).read_text("utf-8") != wanted[name]
    ]
    if options.check:
        for name in different:
            print(f"{name} is not what the option classes say: run python tools/manpages.py")
        return 1 if different else 0
    for name in different:
        if name in wanted:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(wanted[name], "utf-8")
        else:
            (root / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
