"""An application from its name, and a newer one from its file.

A module of the user's own that is read again is a new module: functions and objects of the old one go on with the old
one's names, whatever the new one makes of them. What it imports is not read again.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from twisted.internet.task import Clock

from sip_p2p.observe.text import printable
from sip_p2p.service.applications.answer import AnswerApplication
from sip_p2p.service.applications.base import Application
from sip_p2p.service.applications.control import ControlApplication
from sip_p2p.service.applications.echo import EchoApplication
from sip_p2p.service.applications.forward import ForwardApplication
from sip_p2p.service.applications.log import LogApplication
from sip_p2p.service.applications.setting import ApplicationSetting
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.json_lines import JsonLines
from sip_p2p.service.webhook.application import WebhookApplication
from sip_p2p.sip.abnf import TOKEN

if TYPE_CHECKING:
    from types import ModuleType

    from sip_p2p.service.settings.options import Options

__all__ = ["BUILT_IN", "ApplicationError", "Loader", "look_at"]

BUILT_IN: dict[str, type[Application]] = {
    "answer": AnswerApplication,
    "control": ControlApplication,
    "echo": EchoApplication,
    "forward": ForwardApplication,
    "log": LogApplication,
    "webhook": WebhookApplication,
}
"""Those that need no module, by name."""


class ApplicationError(Exception):
    """The application that was named cannot be had; the text is one line that says why."""


@final
class Loader:
    """Makes the application called *name*: one of :data:`BUILT_IN`, or ``package.module:Class`` (a dot does as well as
    the colon).

    A module is looked for where Python looks, and then in the current folder.

    :param setting: what the application is made with.
    """

    def __init__(self, name: str, setting: ApplicationSetting) -> None:
        self.name = name
        self._setting = setting
        self._module: ModuleType | None = None
        self._stamp: tuple[int, ...] = ()

    def load(self) -> Application:
        """The application.

        :raises ApplicationError: one line that says what is wrong with it.
        """
        kind = BUILT_IN.get(self.name)
        if kind is not None:
            return self._made(kind)
        module_name, class_name = self._parts()
        module = _imported(module_name)
        self._module, self._stamp = module, _stamp_of(module)
        return self._made(self._class(module, class_name))

    @property
    def has_changed(self) -> bool:
        """Whether the file that the class stands in is another one than when it was read last."""
        return self._module is not None and _stamp_of(self._module) not in ((), self._stamp)

    def load_again(self) -> Application:
        """The application that the file has now.

        :raises ApplicationError: likewise; nothing has changed then, and the file counts as read.
        """
        module_name, class_name = self._parts()
        old = self._module
        assert old is not None
        self._stamp = _stamp_of(old)
        module = _read_again(module_name)
        sys.modules[module_name] = module
        try:
            made = self._made(self._class(module, class_name))
        except BaseException:
            sys.modules[module_name] = old
            raise
        package, _, last = module_name.rpartition(".")
        if package:
            setattr(sys.modules[package], last, module)
        self._module = module
        return made

    def _parts(self) -> tuple[str, str]:
        separator = ":" if ":" in self.name else "."
        module_name, found, class_name = self.name.rpartition(separator)
        if not found or not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
            names = ", ".join(sorted(BUILT_IN))
            raise ApplicationError(
                f"{printable(self.name)} is none of {names}, and no class such as package.module:Class"
            )
        return module_name, class_name

    def _class(self, module: ModuleType, class_name: str) -> type[Application]:
        found = getattr(module, class_name, None)
        if found is None:
            raise ApplicationError(f"the module {module.__name__} has no class {class_name}")
        if not inspect.isclass(found) or not issubclass(found, Application):
            raise ApplicationError(
                f"{self.name} is not a class that derives from sip_p2p.service.applications.Application"
            )
        return found

    def _made(self, kind: type[Application]) -> Application:
        try:
            application = kind.make(self._setting)
        except ApplicationError:
            raise
        except Exception as error:
            raise ApplicationError(f"{self.name} cannot be made: {_where(error)}") from error
        _check_methods(self.name, application.methods)
        return application


def look_at(options: Options) -> Application:
    """The application that *options* name, made to be looked at and not to run.

    :raises ApplicationError: one line that says what is wrong with it.
    """
    return Loader(options["application"], ApplicationSetting(Happenings(), JsonLines(str), options, Clock())).load()


def _check_methods(name: str, methods: object) -> None:
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise ApplicationError(
            f"{name}.methods is {printable(repr(methods))}: give a tuple of names, such as ('INFO',)"
        )
    for method in methods:
        if not isinstance(method, str) or TOKEN.fullmatch(method) is None:
            raise ApplicationError(f"{name}.methods holds {printable(repr(method))}, which is no method")
        if method in ("ACK", "CANCEL"):
            raise ApplicationError(f"{name}.methods holds {method}, which no application answers")
        if method == "MESSAGE":
            raise ApplicationError(f"{name}.methods holds MESSAGE, which goes to message() and need not be named")


def _imported(name: str) -> ModuleType:
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ApplicationError(f"there is no module {error.name}, neither installed nor in {folder}") from error
        raise ApplicationError(f"the module {name} cannot be imported: {_where(error)}") from error
    except Exception as error:
        raise ApplicationError(f"the module {name} cannot be imported: {_where(error)}") from error


def _read_again(name: str) -> ModuleType:
    """The module as its file has it now, beside the one that was read before.

    :raises ApplicationError: when it cannot be had.
    """
    importlib.invalidate_caches()
    try:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            raise ApplicationError(f"the module {name} is gone")
        module = importlib.util.module_from_spec(spec)
        loader: Any = spec.loader
        if isinstance(loader, importlib.abc.SourceLoader):
            # Compiled code that is kept counts as new when its source has the same second and size.
            path = loader.get_filename(name)
            exec(loader.source_to_code(loader.get_data(path), path), vars(module))
        else:
            loader.exec_module(module)
    except ApplicationError:
        raise
    except Exception as error:
        raise ApplicationError(f"the module {name} cannot be imported: {_where(error)}") from error
    return module


def _stamp_of(module: ModuleType) -> tuple[int, ...]:
    """What tells two versions of a module's file apart; empty where there is none at the moment."""
    path = getattr(module, "__file__", None)
    if path is None:
        return ()
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _where(error: Exception) -> str:
    """An error in one line, with the place that raised it."""
    place = ""
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}, line {error.lineno})"
    elif error.__traceback__ is not None:
        last = error.__traceback__
        while last.tb_next is not None:
            last = last.tb_next
        place = f" ({last.tb_frame.f_code.co_filename}, line {last.tb_lineno})"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return printable(f"{type(error).__name__}: {text}{place}", 512)
