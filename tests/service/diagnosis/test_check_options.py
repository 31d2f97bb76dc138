"""What ``--check`` says of options and their files."""

from __future__ import annotations

from pathlib import Path

from sip_p2p.service.diagnosis.check import check
from sip_p2p.service.diagnosis.check_options import explain_options
from sip_p2p.service.diagnosis.findings import Finding
from sip_p2p.service.settings.option_table import option_table
from sip_p2p.service.settings.options import Options
from tests.service.diagnosis.test_check import identity
from tests.support import SynchronousTestCase


def made(*arguments: str, file: Path | None = None, **environment: str) -> Options:
    """Options of a command line, a file and an environment."""
    options = Options()
    options.environment = environment
    options.parseOptions([*arguments, *(("--config", str(file)) if file is not None else ())])
    return options


class OptionTests(SynchronousTestCase):
    """Each option with its value and its place."""

    def test_every_option(self) -> None:
        """row:M14: every option that a file can hold is listed, whatever it is for, and first those that are given."""
        listed = [finding.step for finding in explain_options(made(*identity()))]
        expected = [f"--{option.name}" for option in option_table(Options) if not option.is_for_command_line]
        self.assertEqual(sorted(listed), sorted(expected))
        given = identity()[::2]
        self.assertEqual(sorted(listed[: len(given)]), sorted(given))

    def test_places(self) -> None:
        """row:M14: the value of an option is told with the place where it stands, or as what is usual."""
        path = Path(self.mktemp()).absolute()
        path.write_text('\nfinish-sessions = 3\nlisten = [\n"tls:0",\n"tls:1"]\nno-alpn = false\n')
        options = made(*identity(), "--overload-control", file=path, SIP_P2P_MAX_RING="30")
        found = {finding.step: finding for finding in explain_options(options)}

        def line(name: str) -> tuple[str, str]:
            finding: Finding = found[f"--{name}"]
            return finding.cause, finding.what

        self.assertEqual(line("overload-control"), ("command-line", "on, from the command line"))
        self.assertEqual(line("finish-sessions"), ("file", f"3, from {path}, line 2"))
        self.assertEqual(line("listen"), ("file", f"tls:0, tls:1, from {path}, line 4; {path}, line 5"))
        self.assertEqual(line("no-alpn"), ("file", f"off, from {path}, line 6"))
        self.assertEqual(line("max-ring"), ("environment", "30, from SIP_P2P_MAX_RING"))
        self.assertEqual(line("drain"), ("default", "5, as usual"))
        self.assertEqual(line("state"), ("default", "not given"))

    def test_what_is_secret_in_a_url(self) -> None:
        """What may be secret in a URL is not repeated."""
        folder = Path(self.mktemp())
        folder.write_text("whsec_" + "A" * 44 + "\n")
        url = "https://hook.example/sip?key=opensesame"
        options = made(*identity(), "--webhook", url, "--webhook-secret-file", str(folder))
        said = "\n".join(map(str, explain_options(options)))
        self.assertIn("--webhook: https://hook.example/sip?..., from", said)
        self.assertNotIn("opensesame", said)


class FileTests(SynchronousTestCase):
    """The files that options name."""

    def lines(self, options: Options) -> str:
        """What is found, in lines."""
        return check(options).text

    def test_the_file_itself(self) -> None:
        """row:M14: which file was read, whether others can write it, and variables that are no options."""
        path = Path(self.mktemp()).absolute()
        path.write_text("drain = 3\n")
        path.chmod(0o666)
        text = self.lines(made(*identity(), file=path, SIP_P2P_DRIAN="5"))
        self.assertIn(f"ok    config: {path} was read; SIGHUP reads it anew\n", text)
        self.assertIn(f"note  config: {path} can be written by everybody: chmod o-w it\n", text)
        self.assertIn("note  environment: SIP_P2P_DRIAN is no option", text)
        path.chmod(0o600)
        self.assertNotIn("written by everybody", self.lines(made(*identity(), file=path)))

    def test_files_that_are_read(self) -> None:
        """row:M14: a file that an option has read is there and not empty, and a secret is its owner's alone."""
        path = Path(self.mktemp()).absolute()
        arguments = (*identity(), "--http", "8080", "--http-token-file", str(path))
        self.assertIn(f"WRONG http-token-file: {path} cannot be read: No such file", self.lines(made(*arguments)))
        path.write_text("")
        self.assertIn(f"WRONG http-token-file: {path} is empty", self.lines(made(*arguments)))
        path.write_text("0123456789abcdef0123456789abcdef\n")
        path.chmod(0o644)
        text = self.lines(made(*arguments))
        self.assertIn(f"ok    http-token-file: {path} can be read\n", text)
        self.assertIn(f"note  http-token-file: {path} can be read by others (mode 0644): chmod 600 it", text)
        path.chmod(0o600)
        self.assertNotIn("by others", self.lines(made(*arguments)))

    def test_files_that_are_written(self) -> None:
        """row:M14: a file that an option has written can be written, and is not made on the way."""
        path = Path(self.mktemp()).absolute()
        for name in ("trace", "pcapng", "insecure-tls-key-log"):
            good = self.lines(made(*identity(), f"--{name}", str(path)))
            self.assertIn(f"ok    {name}: it goes to {path}\n", good)
            self.assertFalse(path.exists())
            bad = self.lines(made(*identity(), f"--{name}", str(path / "missing" / "x")))
            self.assertIn(f"WRONG {name}: {path}/missing/x cannot be written", bad)
