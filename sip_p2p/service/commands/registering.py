"""``sip-p2p register``: tell a registrar where we are, show what it grants, and take it back at the end (RFC 3261
section 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from twisted.internet.defer import Deferred
from twisted.python import usage

from sip_p2p.endpoint.registration.states import RegistrationState
from sip_p2p.observe.text import printable
from sip_p2p.service.commands.sending import LastHeard, proof, proved_by
from sip_p2p.service.commands.telling import EXPIRES, SECONDS, begun, expiry, first_hop, is_enough, staying, within
from sip_p2p.service.settings.command_line import seconds
from sip_p2p.service.settings.options import PartyOptions
from sip_p2p.service.settings.registration_options import is_registered_in_clear_text, registrar_of
from sip_p2p.service.words import ExitCode, Words, explain

if TYPE_CHECKING:
    from typing import TextIO

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.registration.registration import Registration
    from sip_p2p.endpoint.registration.sip_endpoint import SipEndpoint
    from sip_p2p.endpoint.registration.states import RegistrationStateChanged
    from sip_p2p.service.commands.telling import Told
    from sip_p2p.service.party import Party
    from sip_p2p.service.settings.command_line import Work
    from sip_p2p.sip.uri import SipUri

__all__ = ["RegisterOptions"]


class RegisterOptions(PartyOptions):
    """The options of ``sip-p2p register``.

    :ivar registrar: whom to ask.
    :ivar expires: for how many seconds to ask.
    :ivar seconds: how long to stay registered; None until somebody ends it.
    :ivar timeout: for how many seconds to wait for the registrar.
    """

    synopsis = "Usage: sip-p2p register --uri URI [options] [REGISTRAR]"
    longdesc = (
        "Register at REGISTRAR, or at the domain of --uri: what it grants is shown, and taken back at the end or at "
        "Ctrl-C. --credentials has the password. It shows whether a registration works; the service stays reachable "
        "with its own option --register."
    )
    optParameters: ClassVar = [
        [EXPIRES, None, "3600", "for how many seconds the registrar is to remember you; it is told again before"],
        [SECONDS, "s", "0", "how many seconds to stay registered, or none: until Ctrl-C"],
        ["timeout", None, "10", "how many seconds to wait for the registrar"],
    ]
    optFlags: ClassVar = [["json", "j", "tell what happens as JSON, one object a line"]]

    def __init__(self) -> None:
        super().__init__()
        self.registrar: SipUri | None = None
        self.expires = 0
        self.seconds: float | None = None
        self.timeout = 0.0
        self._given: str | None = None

    @property
    def is_clear_text(self) -> bool:
        """Whether the first hop is said to be in clear text."""
        if self.proxy is not None:
            return not self.proxy.target.transport.is_secure
        return self.registrar is not None and is_registered_in_clear_text(self.registrar)

    def parseArgs(self, *arguments: str) -> None:
        """Take the registrar."""
        if len(arguments) > 1:
            raise usage.UsageError("register needs one registrar at most: sip-p2p register ... sip:a.example")
        self._given = arguments[0] if arguments else None

    def postOptions(self) -> None:
        """Check the numbers and the registrar."""
        super().postOptions()
        self.expires = expiry(self)
        self.seconds = staying(self)
        self.timeout = seconds("timeout", self["timeout"], least=0.001)
        owner = cast("SipUri", self.uri)
        # A party that registers is made where this option stands, for the service as for this command.
        self["register"] = f"sip:{owner.host}" if self._given is None else self._given
        try:
            self.registrar = registrar_of(self, owner)
        except usage.UsageError as error:
            raise usage.UsageError(str(error).removeprefix("--register ")) from None

    def begin(self, out: TextIO, err: TextIO) -> Work:
        """What is to be done in a reactor."""
        return begun(self, out, err, _register, "taking it back")


async def _register(
    reactor: IReactorTime, options: RegisterOptions, told: Told, party: Party, heard: LastHeard
) -> ExitCode:
    """Register, stay, and take it back.

    :raises UsageError: for what cannot be registered.
    """
    endpoint = cast("SipEndpoint", party.endpoint)
    try:
        registering = endpoint.register(options.registrar, expires=options.expires)
    except ValueError as error:
        raise usage.UsageError(printable(str(error))) from None
    told.tell("registering", f"registering at {options.registrar}", registrar=str(options.registrar))
    registration = await within(reactor, options.timeout, registering)
    _show(told, registration, heard)
    return await _keep(reactor, options, told, registration)


def _show(told: Told, registration: Registration, heard: LastHeard) -> None:
    """What the registrar has granted."""
    peer = heard.peer
    expires = round(registration.expires)
    granted: dict[str, Any] = {
        "public_gruu": registration.public_gruu,
        "temporary_gruu": registration.temporary_gruu,
        "path": registration.path,
        "service_route": registration.service_route,
        "other_contacts": registration.other_contacts,
    }
    fields = {name: _plain(value) for name, value in granted.items() if value}
    told.tell(
        "registered",
        f"registered for {expires} s{proof(peer)}",
        expires=expires,
        is_outbound=registration.is_outbound,
        **proved_by(peer),
        **fields,
    )
    for name, value in fields.items():
        said = ", ".join(value) if isinstance(value, list) else value
        told.show(f"{name.replace('_', ' ').replace('gruu', 'GRUU')}: {printable(str(said), 1024)}")


def _plain(value: object) -> object:
    return [str(each) for each in value] if isinstance(value, tuple) else str(value)


async def _keep(reactor: IReactorTime, options: RegisterOptions, told: Told, registration: Registration) -> ExitCode:
    """Stay registered until it is to be taken back."""
    over: Deferred[None] = Deferred()

    def changed(event: RegistrationStateChanged) -> None:
        if event.state is RegistrationState.TERMINATED:
            if not over.called:
                over.callback(None)
            return
        words = event.state.value if event.reason is None else f"{event.state.value}: {explain(event.reason).what}"
        told.tell("state", words, state=event.state.value)

    registration.state_changed.subscribe(changed)
    try:
        is_left = await is_enough(reactor, options.seconds, over)
    finally:
        registration.state_changed.unsubscribe(changed)
    if is_left:
        await registration.unregister()
        told.tell("unregistered", "taken back")
        return told.ended(ExitCode.OK, None)
    error = registration.error
    words = Words("The registration is over.", "") if error is None else explain(error, first_hop(options))
    return told.ended(ExitCode.LOST, words, error)
