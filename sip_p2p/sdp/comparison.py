"""What differs between two descriptions, in words: for logs, for tests, and for deciding whether a session changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sip_p2p.sdp.description import MediaDescription, SessionDescription

__all__ = ["differences"]


def differences(before: SessionDescription, after: SessionDescription, *, version: bool = False) -> list[str]:
    """Each difference as a sentence; none where both say the same.

    :param version: whether the version of the origin counts: it says that something else has changed (RFC 3264 section
        8), and is no change of its own.
    """
    found = []
    if before.origin.session != after.origin.session:
        found.append(f"another session: {before.origin} became {after.origin}")
    elif version and before.origin.version != after.origin.version:
        found.append(f"version {before.origin.version} became {after.origin.version}")
    for name in (
        "name",
        "connection",
        "information",
        "uri",
        "emails",
        "phones",
        "bandwidths",
        "timings",
        "zones",
        "key",
    ):
        found += _difference(f"the session's {name}", getattr(before, name), getattr(after, name))
    found += _attribute_differences("the session", before.attributes, after.attributes)
    for index in range(max(len(before.media), len(after.media))):
        if index >= len(before.media):
            found.append(f"media line {index + 1} ({after.media[index].kind}) is new")
        elif index >= len(after.media):
            found.append(f"media line {index + 1} ({before.media[index].kind}) is gone")
        else:
            found += _media_differences(f"media line {index + 1}", before.media[index], after.media[index])
    return found


def _media_differences(where: str, before: MediaDescription, after: MediaDescription) -> list[str]:
    found = []
    for name in ("kind", "port", "ports", "protocol", "formats", "connection", "connections", "information"):
        found += _difference(f"{where}: {name}", getattr(before, name), getattr(after, name))
    for name in ("bandwidths", "key"):
        found += _difference(f"{where}: {name}", getattr(before, name), getattr(after, name))
    return found + _attribute_differences(where, before.attributes, after.attributes)


def _difference(what: str, before: object, after: object) -> list[str]:
    return [] if before == after else [f"{what}: {_words(before)} became {_words(after)}"]


def _words(value: object) -> str:
    if value is None or value == ():
        return "nothing"
    if isinstance(value, tuple):
        return " ".join(str(each) for each in value)
    return str(value)


def _attribute_differences(where: str, before: tuple[object, ...], after: tuple[object, ...]) -> list[str]:
    one, other = [str(each) for each in before], [str(each) for each in after]
    found = [f"{where}: a={text} is gone" for text in one if text not in other]
    found += [f"{where}: a={text} is new" for text in other if text not in one]
    if not found and one != other:
        found.append(f"{where}: its attributes stand in another order, or another number of times")
    return found
