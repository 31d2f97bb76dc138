"""The loader: a class from its name, and one line for each reason why there is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sip_p2p.service.applications.answer import AnswerApplication
from sip_p2p.service.applications.base import Application
from sip_p2p.service.applications.control import ControlApplication
from sip_p2p.service.applications.echo import EchoApplication
from sip_p2p.service.applications.loader import ApplicationError, Loader
from sip_p2p.service.applications.log import LogApplication
from tests.service.applications.support import setting
from tests.support import SynchronousTestCase

MODULE = '''
from sip_p2p.service.applications import Application

class Good(Application):
    """Does what it should."""
    methods = ("INFO",)

class Picky(Application):
    def __init__(self, wish):
        self.wish = wish

class Spelled(Application):
    methods = "INFO"

class Blank(Application):
    methods = ("IN FO",)

class Stack(Application):
    methods = ("ACK",)

class Twice(Application):
    methods = ["MESSAGE"]

class Other:
    pass

thing = 5
'''


def loaded(name: str) -> Application:
    """The application of that name."""
    return Loader(name, setting()).load()


class LoadTests(SynchronousTestCase):
    """:class:`Loader` finds a class, or says in one line why not."""

    def setUp(self) -> None:
        """A folder of modules that is the current one."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "sip_p2p_test_good.py").write_text(MODULE)
        (folder / "sip_p2p_test_broken.py").write_text("class :\n")
        (folder / "sip_p2p_test_raising.py").write_text("raise RuntimeError('two\\nlines')\n")
        (folder / "sip_p2p_test_needy.py").write_text("import sip_p2p_there_is_no_such_module\n")
        here, path, modules = os.getcwd(), list(sys.path), set(sys.modules)
        os.chdir(folder)

        def back() -> None:
            os.chdir(here)
            sys.path[:] = path
            for name in set(sys.modules) - modules:
                if name.startswith("sip_p2p_test_"):
                    del sys.modules[name]

        self.addCleanup(back)

    def test_the_built_in_ones(self) -> None:
        """row:M14: those need no module."""
        kinds = (AnswerApplication, ControlApplication, EchoApplication, LogApplication)
        self.assertEqual([type(loaded(name)) for name in ("answer", "control", "echo", "log")], list(kinds))

    def test_a_class_of_the_users_own(self) -> None:
        """row:M14: a class is found in the current folder, with a colon or a dot."""
        for name in ("sip_p2p_test_good:Good", "sip_p2p_test_good.Good"):
            application = loaded(name)
            self.assertEqual((type(application).__name__, application.methods), ("Good", ("INFO",)))

    def test_what_cannot_be_loaded(self) -> None:
        """Each reason has its one line."""
        cases = {
            "Log": "Log is none of answer, control, echo, forward, log, webhook, and no class such as ",
            "a b:C": "a b:C is none of ",
            "x\x1b:C": "x\\x1b:C is none of ",
            ":C": ":C is none of ",
            "sip_p2p_test_none:C": "there is no module sip_p2p_test_none, neither installed nor in ",
            "sip_p2p_test_good.deeper:C": "there is no module sip_p2p_test_good.deeper, neither installed nor in ",
            "sip_p2p_test_good:Missing": "the module sip_p2p_test_good has no class Missing",
            "sip_p2p_test_good:Other": "sip_p2p_test_good:Other is not a class that derives from",
            "sip_p2p_test_good:thing": "sip_p2p_test_good:thing is not a class that derives from",
            "sip_p2p_test_good:Picky": "sip_p2p_test_good:Picky cannot be made: TypeError",
            "sip_p2p_test_good:Spelled": "sip_p2p_test_good:Spelled.methods is 'INFO': give a tuple of names",
            "sip_p2p_test_good:Blank": "sip_p2p_test_good:Blank.methods holds 'IN FO', which is no method",
            "sip_p2p_test_good:Stack": "sip_p2p_test_good:Stack.methods holds ACK, which no application answers",
            "sip_p2p_test_good:Twice": "sip_p2p_test_good:Twice.methods holds MESSAGE, which goes to message()",
            "sip_p2p_test_broken:C": "the module sip_p2p_test_broken cannot be imported: SyntaxError: ",
            "sip_p2p_test_raising:C": "the module sip_p2p_test_raising cannot be imported: RuntimeError: two\\nlines (",
            "sip_p2p_test_needy:C": "the module sip_p2p_test_needy cannot be imported: ModuleNotFoundError: ",
        }
        for name, expected in cases.items():
            with self.subTest(name):
                error = self.assertRaises(ApplicationError, loaded, name)
                self.assertTrue(str(error).startswith(expected), str(error))
                self.assertTrue(str(error).isprintable())
