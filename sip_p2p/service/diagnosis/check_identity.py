"""What ``--check`` says of who the party is to others, and others to it, beyond certificates: names and passwords,
registration, asserted and signed identities. Every file that a start reads is read; nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.service.settings.authentication_options import credentials_file, users_file
from sip_p2p.service.settings.registration_options import is_registered_in_clear_text

if TYPE_CHECKING:
    from sip_p2p.service.diagnosis.findings import Report
    from sip_p2p.service.settings.options import Options
    from sip_p2p.transport.trust.credential import Credential

__all__ = ["check_identity"]


def check_identity(options: Options, credential: Credential | None, report: Report) -> None:
    """Look at all of it.

    :param credential: the party's certificate; None where it has none that can be used.
    """
    _check_credentials(options, report)
    _check_users(options, report)
    _check_registration(options, report)
    _check_asserted(options, report)
    _check_signing(options, credential, report)
    _check_signatures(options, report)


def _check_credentials(options: Options, report: Report) -> None:
    try:
        file = credentials_file(options)
    except ValueError as error:
        report.wrong("credentials", str(error))
        return
    if file is None:
        return
    entries = tuple(file.credentials)
    whom = ", ".join(sorted({f"{entry.peer} for {entry.realm}" for entry in entries}))
    report.ok("credentials", f"these are answered with a name and a password: {whom}")
    loose = sorted({entry.peer for entry in entries if entry.send_to_unverified_peers})
    if loose:
        report.note("credentials", f"also where nothing proves that it is them: {', '.join(loose)}")


def _check_users(options: Options, report: Report) -> None:
    try:
        file = users_file(options)
    except ValueError as error:
        report.wrong("authenticate-users", str(error))
        return
    if file is not None:
        report.ok("authenticate-users", f"peers are asked for a name and a password of {file.path}")


def _check_registration(options: Options, report: Report) -> None:
    registrar = options.registrar
    if registrar is None:
        if options.register_expires != 3600:
            report.note("register-expires", "nothing registers without --register")
        return
    way = "" if options.proxy is None else f", by way of {options.proxy.target}"
    report.ok(
        "register", f"{options.uri} is registered at {registrar}{way}, for {options.register_expires} s at a time"
    )
    if options.proxy is None and is_registered_in_clear_text(registrar):
        report.note("register", "in clear text: whoever is between can send you whatever it wants")
    if options["credentials"] is None:
        report.note("register", "no --credentials: the registrar has to know you by your certificate")


def _check_asserted(options: Options, report: Report) -> None:
    names = options.trusted_identities
    if names:
        report.note(
            "trusted-identity", f"these may say who a caller is, whatever he proves: {', '.join(sorted(names))}"
        )


def _check_signing(options: Options, credential: Credential | None, report: Report) -> None:
    if options["passport-url"] is None:
        return
    try:
        options.passport_signer(lambda: credential)
    except ValueError as error:
        report.wrong("passport-url", str(error))
        return
    names = ", ".join(credential.identities.identities) if credential is not None else ""
    report.ok("passport-url", f"callers of {names} are signed for; put the certificate at {options['passport-url']}")


def _check_signatures(options: Options, report: Report) -> None:
    try:
        verifier = options.passport_verifier()
    except ValueError as error:
        report.wrong("passports", str(error))
        return
    if verifier is None:
        return
    what = "whoever has no good signature is refused" if verifier.policy == "require" else "signatures are looked at"
    report.ok("passports", f"{what}; signers are vouched for by {', '.join(options.passport_trust)}")
    if not options.passport_hosts:
        report.note("passports", "without --passport-host certificates are fetched from any public host that is named")
