"""The command line: each mistake has its one line."""

from __future__ import annotations

import os

from twisted.python import usage

from sip_p2p.service.settings.option_table import OptionKind, option_table
from sip_p2p.service.settings.options import Options
from tests.support import SynchronousTestCase

URI = ("--uri", "sip:alice@a.example")


class _Daemon(usage.Options):
    """What ``twistd`` looks like to the options of a plugin."""

    def __init__(self, nodaemon: bool) -> None:
        super().__init__()
        self["nodaemon"] = nodaemon


class MistakeTests(SynchronousTestCase):
    """row:M14: what cannot work is refused before anything starts."""

    MISTAKES = (
        ((), "--uri is missing: who are you? For example --uri sip:alice@a.example"),
        (("--frob",), "option --frob not recognized"),
        (("-Z",), "option -Z not recognized"),
        (("--uri",), "option --uri requires argument"),
        (("--check=5", *URI), "option --check must not have an argument"),
        (("--p", "x"), "option --p not a unique prefix"),
        ((*URI, "extra"), "what is extra for? Only options are expected here"),
        ((*URI, "--uri", "sip:bob@a.example"), "--uri is given twice: sip:alice@a.example and sip:bob@a.example"),
        ((*URI, "-u", "sip:bob@a.example"), "--uri is given twice: sip:alice@a.example and sip:bob@a.example"),
        (("--uri", "alice"), "--uri alice is not a SIP URI such as sip:alice@a.example"),
        (("--uri", "tel:+1"), "--uri tel:+1 is not a SIP URI such as sip:alice@a.example"),
        (("--uri", "sip:a\x1b@x y"), "--uri sip:a\\x1b@x y is not a SIP URI such as sip:alice@a.example"),
        (
            ("--uri", "sip:alice@a.example:5061"),
            "--uri sip:alice@a.example:5061 names a port: the URI says who you are, --listen says where you are found",
        ),
        ((*URI, "--private-key", "k"), "--private-key is given without --certificate: a key alone proves nothing"),
        ((*URI, "--certificate", ""), "--certificate is not the name of a file: ''"),
        (
            (*URI, "--proxy-name", "p.example"),
            "--proxy-name is given without --proxy: there is no proxy to check the name of",
        ),
        (
            (*URI, "--proxy", "tcp:p.example:5060", "--proxy-name", "p.example"),
            "--proxy: 'tcp:p.example:5060': a certificate name has no meaning for a proxy without TLS",
        ),
        (
            (*URI, "--proxy", "tls:192.0.2.1:5061", "--proxy-name", "not a name"),
            "--proxy: 'not a name' is neither a host name nor an IP address",
        ),
        ((*URI, "--proxy", "tls:"), "--proxy: 'tls:' is not a proxy"),
        ((*URI, "--proxy", "p.example:70000"), "--proxy: 'p.example:70000' is not a proxy"),
        ((*URI, "--resolve", "b.example"), "--resolve b.example is not NAME=HOST or NAME=HOST:PORT"),
        ((*URI, "--resolve", "b.example="), "--resolve b.example= is not NAME=HOST or NAME=HOST:PORT"),
        ((*URI, "--resolve", "b.example=h:0"), "--resolve b.example=h:0 is not NAME=HOST or NAME=HOST:PORT"),
        ((*URI, "--resolve", "192.0.2.1=h"), "--resolve 192.0.2.1=h is not NAME=HOST or NAME=HOST:PORT"),
        ((*URI, "--drain", "soon"), "--drain soon is not a number of seconds between 0 and 86400"),
        ((*URI, "--drain=-1"), "--drain -1 is not a number of seconds between 0 and 86400"),
        ((*URI, "--drain", "nan"), "--drain nan is not a number of seconds between 0 and 86400"),
        ((*URI, "--drain", "inf"), "--drain inf is not a number of seconds between 0 and 86400"),
        ((*URI, "--trace-with-secrets"), "--trace-with-secrets is given without --trace: there is no trace"),
        (
            (*URI, "--allow", "b.example", "--allow-any-authenticated"),
            "--allow and --allow-any-authenticated contradict each other: choose one of them",
        ),
        ((*URI, "--allow", "*.b.example"), "--allow: '*.b.example': wildcards are not for identities"),
        (
            (*URI, "--allow", "*"),
            "--allow: '*': wildcards are not for identities; write '.example.com' for all names below example.com, or "
            "use --allow-any-authenticated",
        ),
        (
            (*URI, "--allow", "b.example", "--listen", "tcp:5060"),
            "--allow and --allow-any-authenticated need TLS: nobody proves a name in clear text",
        ),
        ((*URI, "--listen", "tls:0:certKey=a\\\0b"), "--listen is not the name of a file"),
        ((*URI, "--listen", " "), "--listen is empty: give a description such as tls:port=5061"),
        ((*URI, "--listen", "tcp:5060", "--listen", "tcp:5060"), "--listen tcp:5060 is given twice"),
    )

    def test_each_mistake_has_one_line(self) -> None:
        """row:M14: an unknown, missing, malformed, repeated or contradictory option is named in one printable line."""
        for arguments, expected in self.MISTAKES:
            with self.subTest(arguments):
                error = self.assertRaises(usage.UsageError, Options().parseOptions, list(arguments))
                self.assertTrue(str(error).startswith(expected), str(error))
                self.assertTrue(str(error).isprintable())

    def test_under_twistd_the_line_stands_alone(self) -> None:
        """row:M14: with a parent that would add its own usage, the mistake leaves with that line and code 1."""
        for arguments, expected in self.MISTAKES:
            with self.subTest(arguments):
                options = Options()
                options.parent = _Daemon(nodaemon=True)
                left = self.assertRaises(SystemExit, options.parseOptions, list(arguments))
                # The interpreter writes a code that is text to standard error and leaves with 1.
                self.assertTrue(str(left.code).startswith(f"sip-p2p: {expected}"), left.code)


class ValueTests(SynchronousTestCase):
    """What good options become."""

    def parsed(self, *arguments: str) -> Options:
        """The options of *arguments* with a URI."""
        options = Options()
        options.parseOptions([*URI, *arguments])
        return options

    def test_defaults(self) -> None:
        """With the URI alone the party only sends, logs what arrives, and drains for five seconds."""
        options = self.parsed()
        self.assertEqual(str(options.uri), "sip:alice@a.example")
        self.assertEqual((options.listen, options.trust, options.policy), ([], [], None))
        self.assertEqual((options["application"], options.drain), ("log", 5.0))
        self.assertEqual((options["trace"], options["state"], options["proxy"]), (None, None, None))

    def test_repeatable_options(self) -> None:
        """Listeners, authorities and allowed names may each be given several times."""
        options = self.parsed(
            "--listen", "tls:port=0", "-l", "tcp:0", "--trust", "a.pem", "-t", "b.pem", "--allow", "b.example",
            "--allow", ".c.example",
        )  # fmt: skip
        self.assertEqual(options.listen, ["tls:port=0", "tcp:0"])
        self.assertEqual(options.trust, [os.path.abspath("a.pem"), os.path.abspath("b.pem")])
        self.assertEqual(str(options.policy), "b.example, .c.example")

    def test_static_addresses(self) -> None:
        """Names with an address of their own are looked up nowhere else."""
        options = self.parsed("--resolve", "B.example=127.0.0.1:5061", "--resolve", "c.example=[::1]:7")
        self.assertEqual(options.addresses, {"b.example": ("127.0.0.1", 5061), "c.example": ("::1", 7)})
        self.assertEqual(self.parsed("--resolve", "d.example=e.example").addresses, {"d.example": ("e.example", None)})

    def test_proxy(self) -> None:
        """row:A7: a proxy is reached over TLS unless said otherwise, and proves its host or the name that is given."""
        plain = self.parsed("--proxy", "p.example:5071").proxy
        named = self.parsed("--proxy", "tls:192.0.2.1:5061", "--proxy-name", "p.example").proxy
        assert plain is not None and named is not None
        self.assertEqual(repr(plain.target), "<Target TLS p.example:5071>")
        self.assertEqual(named.target.name, "p.example")

    def test_certificates_in_descriptions(self) -> None:
        """What the first tls: description says of us holds for dialling, unless --certificate says otherwise."""
        description = r"tls:port=0:certKey=a\:b.pem:privateKey=k.pem:trustRoots=ca.pem"
        options = self.parsed("--listen", "udp:0", "--listen", description)
        self.assertEqual(options["certificate"], os.path.abspath("a:b.pem"))
        self.assertEqual(
            (options["private-key"], options.trust), (os.path.abspath("k.pem"), [os.path.abspath("ca.pem")])
        )
        options = self.parsed("--listen", description, "--certificate", "c.pem", "--trust", "t.pem")
        self.assertEqual((options["certificate"], options["private-key"]), (os.path.abspath("c.pem"), None))
        self.assertEqual(options.trust, [os.path.abspath("t.pem")])

    def test_clear_text(self) -> None:
        """row:A3: clear text is what everything that is named says to be clear text; naming nothing means TLS."""
        for arguments, expected in (
            ((), False),
            (("--listen", "tcp:5060", "--listen", "unix:s"), True),
            (("--listen", "tcp:5060", "--listen", "TLS:5061"), False),
            (("--proxy", "udp:p.example"), True),
            (("--proxy", "p.example", "--listen", "tcp:5060"), False),
        ):
            with self.subTest(arguments):
                self.assertEqual(self.parsed(*arguments).is_clear_text, expected)

    def test_files_are_absolute(self) -> None:
        """Paths mean what they meant where the command was given, wherever ``twistd`` goes afterwards."""
        options = self.parsed("--certificate", "a.pem", "--private-key", "k.pem", "--trace", "t", "--state", "s")
        for name, path in (("certificate", "a.pem"), ("private-key", "k.pem"), ("trace", "t"), ("state", "s")):
            self.assertEqual(options[name], os.path.abspath(path))

    def test_everybody_authenticated(self) -> None:
        """The long option lets in whoever a trusted authority vouches for."""
        policy = self.parsed("--allow-any-authenticated").policy
        self.assertTrue(policy is not None and policy.allows_any)

    def test_the_same_value_twice_is_no_contradiction(self) -> None:
        """Repeating an option with the value that it has is harmless."""
        self.assertEqual(self.parsed(*URI).uri, self.parsed().uri)

    def test_abbreviations(self) -> None:
        """A unique beginning of an option's name is that option."""
        self.assertEqual(self.parsed("--dra", "2").drain, 2.0)

    def test_daemon(self) -> None:
        """Whether standard output will be there is known from ``twistd``'s own options."""
        for nodaemon in (False, True):
            options = Options()
            options.parent = _Daemon(nodaemon)
            options.parseOptions(list(URI))
            self.assertEqual(options.is_daemon, not nodaemon)
        self.assertFalse(self.parsed().is_daemon)

    def test_help_and_version(self) -> None:
        """Both print and leave with 0; the help names every option."""
        import contextlib
        import io

        for argument, expected in (("--help", "--allow-any-authenticated"), ("--version", "sip-p2p 0.")):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                left = self.assertRaises(SystemExit, Options().parseOptions, [argument])
            self.assertEqual(left.code, 0)
            self.assertIn(expected, printed.getvalue())

    def test_help_without_the_breaks_of_docstrings(self) -> None:
        """A text that comes from a docstring of two lines has no gap in it."""
        lists = [option for option in option_table(Options) if option.kind is OptionKind.LIST]
        self.assertEqual(Options().getUsage(width=400).count("may be given several times"), len(lists))
