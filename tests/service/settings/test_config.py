"""Options from the command line, a file and the environment."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from twisted.python import usage

from sip_p2p.service.settings.config import COMMAND_LINE, OFF, Configuration
from sip_p2p.service.settings.option_table import OptionKind, option_table
from sip_p2p.service.settings.options import Options
from tests.service.support import TWISTD, run
from tests.support import SynchronousTestCase

URI = 'uri = "sip:alice@a.example"\n'


class ConfigCase(SynchronousTestCase):
    """Has a file."""

    def setUp(self) -> None:
        """Make a place for it."""
        super().setUp()
        self.path = Path(self.mktemp()).absolute()

    def parsed(self, file: str | None, *arguments: str, **environment: str) -> Options:
        """The options of a file, a command line and an environment."""
        options = Options()
        options.environment = environment
        if file is not None:
            self.path.write_text(file, "utf-8")
            arguments = ("--config", str(self.path), *arguments)
        options.parseOptions(list(arguments))
        return options

    def mistake(self, file: str | None, *arguments: str, **environment: str) -> str:
        """The line that says what is wrong, without the folder of the file."""
        error = self.assertRaises(usage.UsageError, self.parsed, file, *arguments, **environment)
        line = str(error)
        self.assertTrue(line.isprintable(), line)
        return line.replace(str(self.path), "FILE")


class PrecedenceTests(ConfigCase):
    """Who wins."""

    def test_order(self) -> None:
        """row:M14: the command line wins over the file, and the file over the environment."""
        file = URI + "drain = 7\nfinish-sessions = 8\n"
        environment = {"SIP_P2P_DRAIN": "1", "SIP_P2P_FINISH_SESSIONS": "1", "SIP_P2P_MAX_RING": "30"}
        options = self.parsed(file, "--drain", "9", **environment)
        self.assertEqual((options.drain, options.finish_sessions, options["max-ring"]), (9.0, 8.0, "30"))
        places = [options.configuration.place_of(name) for name in ("drain", "finish-sessions", "max-ring", "state")]
        self.assertEqual(places, [COMMAND_LINE, f"{self.path}, line 3", "SIP_P2P_MAX_RING", ""])
        self.assertEqual(options["config"], str(self.path))

    def test_lists_are_taken_as_a_whole(self) -> None:
        """row:M14: the values of an option that may be repeated come from one place, each with its own line."""
        file = URI + 'listen = [\n  "tcp:0",\n  "udp:0",\n]\nredirect-to = []\n'
        environment = {"SIP_P2P_LISTEN": "tcp:5060 udp:5060", "SIP_P2P_REDIRECT_TO": "sip:b@b.example"}
        options = self.parsed(file, **environment)
        self.assertEqual((options.listen, options.redirect_to), (["tcp:0", "udp:0"], []))
        self.assertEqual(options.configuration.place_of("listen"), f"{self.path}, line 3; {self.path}, line 4")
        self.assertEqual(self.parsed(file, "-l", "ws:0", **environment).listen, ["ws:0"])
        self.assertEqual(self.parsed(URI, **environment).listen, ["tcp:5060", "udp:5060"])
        self.assertEqual(self.parsed(URI + 'listen = "tcp:0"\n').listen, ["tcp:0"])

    def test_bounds_are_taken_one_by_one(self) -> None:
        """row:M14: a bound on the command line leaves the others of the file and of the environment as they are."""
        file = URI
        file += "[limits]\nidle_timeout = 7\nmessage.body = 3000\nhandshake_timeout = 4.5\n"
        options = self.parsed(
            file, "--limit", "idle_timeout=8", SIP_P2P_LIMIT="idle_timeout=6 handshake_timeout=3 message.params=9"
        )
        limits = options.limits
        self.assertEqual((limits.idle_timeout, limits.handshake_timeout), (8, 4.5))
        self.assertEqual((limits.message.body, limits.message.params), (3000, 9))

    def test_flags(self) -> None:
        """row:M14: a flag is true or false in a file and in the environment, and false in the file wins there."""
        for file, variable, is_set in (
            ("overload-control = true\n", "", 1),
            ("overload-control = false\n", "yes", 0),
            ("", "ON", 1),
            ("", "0", 0),
            ("", "", 0),
        ):
            options = self.parsed(URI + file, SIP_P2P_OVERLOAD_CONTROL=variable)
            self.assertEqual(options["overload-control"], is_set, (file, variable))
        off = self.parsed(URI + "overload-control = false\n").configuration
        self.assertEqual((off.given["overload-control"][0].text, "overload-control" in off.texts()), (OFF, False))

    def test_the_environment_names_the_file(self) -> None:
        """row:M14: SIP_P2P_CONFIG names the file where the command line names none, and variables that are no options
        are noticed."""
        self.path.write_text(URI + "drain = 7\n")
        options = self.parsed(None, SIP_P2P_CONFIG=str(self.path), SIP_P2P_DRIAN="9", SIP_P2P_CHECK="1", DRAIN="2")
        self.assertEqual((options.drain, options["config"]), (7.0, str(self.path)))
        self.assertEqual(options.configuration.strangers, ["SIP_P2P_DRIAN", "SIP_P2P_CHECK"])

    def test_values_of_the_environment(self) -> None:
        """row:M14: several values stand with blanks between them, quoted as for a shell."""
        options = self.parsed(URI, SIP_P2P_TRUST="'/a b.pem' /c.pem")
        self.assertEqual(options.trust, ["/a b.pem", "/c.pem"])

    def test_help_needs_no_file(self) -> None:
        """``--help`` is printed whatever the file holds."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            self.assertRaises(SystemExit, self.parsed, "no = toml = ", "--help")
        self.assertIn("--config", printed.getvalue())

    def test_completion_needs_no_file(self) -> None:
        """A shell that completes an option is told of all of them, whatever the file holds."""
        words = ("--config", "/there/is/none", "--tr", "--_shell-completion", "zsh:4")
        done = run(TWISTD, "sip-p2p", *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in option_table(Options):
            self.assertIn(f"--{option.name}{'=' * option.takes_value}[", done.stdout)

    def test_again(self) -> None:
        """The file is read again with the same command line and environment."""
        options = self.parsed(URI + "drain = 7\n", "--finish-sessions", "3", SIP_P2P_MAX_RING="30")
        self.path.write_text(URI + "drain = 8\n")
        again = options.again()
        self.assertEqual((again.drain, again.finish_sessions, again["max-ring"]), (8.0, 3.0, "30"))


class EveryOptionTests(ConfigCase):
    """Whatever option there is can stand in a file and in the environment."""

    def test_every_option(self) -> None:
        """row:M14: each option of the service but those for the command line alone is taken from the file and from
        the environment, and becomes the arguments that it would be on the command line."""
        count = 0
        for option in option_table(Options):
            if option.is_for_command_line:
                continue
            count += 1
            shown = {
                OptionKind.FLAG: ("true", "1", [f"--{option.name}"]),
                OptionKind.VALUE: ('"7"', "7", [f"--{option.name}=7"]),
                OptionKind.LIST: ('["a=1", "b=2"]', "a=1 b=2", [f"--{option.name}=a=1", f"--{option.name}=b=2"]),
            }
            in_file, in_environment, arguments = shown[option.kind]
            self.path.write_text(f"{option.name} = {in_file}\n")
            of_file = Configuration.gather(Options(), ["--config", str(self.path)], {option.variable: in_environment})
            of_environment = Configuration.gather(Options(), [], {option.variable: in_environment})
            self.assertEqual(of_file.arguments, arguments)
            self.assertEqual(of_environment.arguments, arguments)
            self.assertIn("line 1", of_file.place_of(option.name))
            self.assertEqual(of_environment.place_of(option.name), option.variable)
            # What was made of it is a command line that is understood.
            self.assertEqual([name for name, _, _ in Options().named(arguments)[0]], [option.name] * len(arguments))
        self.assertGreater(count, 40)

    def test_nonsense_everywhere(self) -> None:
        """fault:B4: whatever is given to any option, from wherever, is taken or refused with one printable line."""
        shared = ["--certificate", "a.pem", "--trust", "ca.pem", "--allow", "b.example", "--listen", "tls:port=0"]
        for option in option_table(Options):
            if option.is_for_command_line:
                continue
            for given, written in (
                ("", '""'),
                ("-1", "-1"),
                ("nan", "nan"),
                ("1e999", "[1e999]"),
                ("x" * 3000, "{a = 1}"),
                ("\u0663", "[[]]"),
                ("https://[", "1979-05-27"),
                ("a\x1b[2J\nb", '"a\\u001b[2J\\nb"'),
            ):
                self.path.write_text(f"{option.name} = {written}\n")
                for arguments, environment in (
                    (["--config", str(self.path)], {}),
                    ([], {option.variable: given}),
                ):
                    options = Options()
                    options.environment = {"SIP_P2P_URI": "sip:a@a.example"} | environment
                    try:
                        options.parseOptions([*arguments, *shared])
                    except usage.UsageError as error:
                        self.assertTrue(str(error).isprintable() and len(str(error)) < 1200, (option.name, str(error)))


class MistakeTests(ConfigCase):
    """What cannot be, and where it stands."""

    def test_keys(self) -> None:
        """row:M14: a key that is no option, or of another kind, is told with file, line and key."""
        for file, expected in (
            ("drian = 5\n", "FILE, line 2: drian is no option: is drain meant?"),
            ("private_key = 'x'\n", "FILE, line 2: private_key is no option: is private-key meant?"),
            ("qqq = 5\n", "FILE, line 2: qqq is no option; --help lists them"),
            ("limit.x = 5\n", "FILE, line 2: limit.x makes a table; there is none but [limits]"),
            ("[http]\nx = 5\n", "FILE, line 2: http makes a table; there is none but [limits]"),
            ("[[listen]]\n", "FILE, line 2 (listen): it is a list of texts, and not a table"),
            ("limits = 5\n", "FILE, line 2: limits is a table: write [limits], and a bound in each line"),
            ("config = 'x'\n", "FILE, line 2: config has no meaning in a file: it is for the command line"),
            ("check = true\n", "FILE, line 2: check has no meaning in a file: it is for the command line"),
            ("help = true\n", "FILE, line 2: help has no meaning in a file: it is for the command line"),
            ("drain = true\n", "FILE, line 2 (drain): it is text or a number, and not true or false"),
            ("drain = [5]\n", "FILE, line 2 (drain): it is text or a number, and not a list"),
            ("drain = 2026-01-01\n", "FILE, line 2 (drain): it is text or a number, and not a date or a time"),
            ("no-alpn = 'yes'\n", "FILE, line 2 (no-alpn): it is true or false, and not text"),
            ("listen = ['tcp:0',\n 5, [1]]\n", "FILE, line 3 (listen): it is a list of texts, and not a list"),
            ('trace = "a\\u0000b"\n', "FILE, line 2 (trace): there is a NUL in it"),
            ("[limits]\nidle_timeout = 'x'\n", "FILE, line 3 (limits.idle_timeout): a bound is a number"),
            ("drain = = 5\n", "FILE, line 2, column 9: this is not TOML: Invalid value"),
        ):
            with self.subTest(expected):
                self.assertEqual(self.mistake(URI + file), expected)

    def test_values(self) -> None:
        """row:M14: a value that its option refuses is told with file, line and key, and an option's own words."""
        for file, expected in (
            ("\ndrain = 'soon'\n", "FILE, line 3 (drain): --drain soon is not a number of seconds between 0 and 86400"),
            (
                "listen = [\n 'udp:0',\n 'tcp:0',\n 'tcp:0',\n]\n",
                "FILE, line 4 (listen): --listen tcp:0 is given twice",
            ),
            ("[limits]\nidle = 5\n", "FILE, line 3 (limit): --limit idle is no bound; --help-limits lists them"),
            (
                "allow-any-authenticated = true\nallow = 'b.example'\n",
                "FILE, line 3 (allow): --allow and --allow-any-authenticated contradict each other: choose one of "
                "them; --allow-any-authenticated stands in FILE, line 2",
            ),
            ("uri = 'x'\n", "FILE, line 2, column 10: this is not TOML: Cannot overwrite a value"),
        ):
            self.assertEqual(self.mistake(URI + file), expected)
        self.assertEqual(
            self.mistake("private-key = 'k'\n", "--uri", "sip:a@a.example"),
            "FILE, line 1 (private-key): --private-key is given without --certificate: a key alone proves nothing",
        )

    def test_the_environment(self) -> None:
        """row:M14: a wrong variable is named."""
        for environment, expected in (
            (
                {"SIP_P2P_DRAIN": "x"},
                "SIP_P2P_DRAIN (drain): --drain x is not a number of seconds between 0 and 86400",
            ),
            ({"SIP_P2P_NO_ALPN": "maybe"}, "SIP_P2P_NO_ALPN: maybe is neither true nor false"),
            ({"SIP_P2P_ALLOW": "'b"}, "SIP_P2P_ALLOW: there is a quote without its other: 'b"),
        ):
            self.assertEqual(self.mistake(URI, **environment), expected)

    def test_the_command_line(self) -> None:
        """row:M14: what is wrong on the command line is said as ever, whatever the file says."""
        self.assertEqual(
            self.mistake(URI + "drain = 5\n", "--drain", "x"),
            "--drain x is not a number of seconds between 0 and 86400",
        )
        self.assertEqual(
            self.mistake(None, "--config", "/there/is/none"), "--config /there/is/none: No such file or directory"
        )
        other = Path(self.mktemp())
        other.write_text(URI)
        self.assertEqual(self.mistake(URI, "--config", str(other)), f"--config is given twice: FILE and {other}")
