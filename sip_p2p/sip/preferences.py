"""What a party can do, said in its Contact, and what a caller would like to reach (RFC 3840, RFC 3841, row A18).

A Contact carries *feature parameters* (``audio``, ``language="en,de"``, ``+sip.instance="<urn:uuid:...>"``). A request
may carry Accept-Contact and Reject-Contact, each element of which is a *preference* on such parameters; what they leave
of several parties, and in which order, is worked out here (RFC 3841 section 7.2). A user agent does the same for
itself, as if it were the only one that its address leads to (section 6). Request-Disposition (section 9.1) is a set of
words.

Left out: ``q`` beside the scores, since parties that share an address have none; the full feature algebra of RFC 2533,
of which RFC 3840 uses alternatives, ranges and negation of single values.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import TOKEN, ascii_lower, check_quotable
from sip_p2p.sip.fields import parse_tokens, split_values
from sip_p2p.sip.params import format_params, parse_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sip_p2p.sip.headers import Headers

__all__ = [
    "ContactPreference",
    "FeatureParameters",
    "has_preferences",
    "is_feature_tag",
    "is_unwanted",
    "parse_preferences",
    "parse_request_disposition",
    "preference_score",
]

_BASE_TAGS = frozenset(
    """
    actor application attendant audio automata class control data description duplex events extensions isfocus
    language methods mobility priority schemes text type video
    """.split()
)
_DIRECTIVES = {
    word: pair
    for pair in (
        *(("proxy", "redirect"), ("cancel", "no-cancel"), ("fork", "no-fork"), ("recurse", "no-recurse")),
        *(("parallel", "sequential"), ("queue", "no-queue")),
    )
    for word in pair
}
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")
_NUMERIC = re.compile(rf"#(?:(>=|<=|=)({_NUMBER.pattern})|({_NUMBER.pattern}):({_NUMBER.pattern}))")
_TAG_VALUE = re.compile(rf"!?(?:{_NUMERIC.pattern}|(?!!)(?:{TOKEN.pattern}))")
_STRING = re.compile(r"<[^<>]*>")


def is_feature_tag(name: str) -> bool:
    """Whether *name*, in small letters, is that of a feature parameter: one of the base set of RFC 3840 section 10, or
    one that starts with a plus sign (section 9)."""
    return name.startswith("+") or name in _BASE_TAGS


@final
class FeatureParameters:
    """The feature parameters of one party, which its Contact carries; they can change at any time (RFC 3840 section 5).

    ``"audio" in features``, ``features["language"]`` and iteration over the names work as with a mapping; names are
    compared in small letters.
    """

    __slots__ = ("_params", "_text")

    def __init__(self) -> None:
        self._params: dict[str, str | None] = {}
        self._text = ""

    def add(self, name: str, *values: str | bool | float) -> None:
        """Set a parameter, in the place of one of that name.

        :param name: one of the base set (``audio``, ``video``, ``automata``, ``isfocus``, ``methods``, ...), or another
            feature tag after a plus sign: ``+sip.rendering``, ``+g.example.thing``.
        :param values: the alternatives: tokens (``!token`` for anything else), numbers, truth values, or one string in
            angle brackets. None at all says that the party has the feature.
        :raises ValueError: for a name that is no feature tag, one that the stack writes itself (``+sip.instance``), and
            values that RFC 3840 section 9 does not know.
        """
        key = ascii_lower(name)
        if TOKEN.fullmatch(name) is None or not is_feature_tag(key):
            raise ValueError(f"{name!r} is not a feature parameter: outside the base set of RFC 3840 it starts with +")
        if key == "+sip.instance":
            raise ValueError("+sip.instance is the endpoint's instance id, which its Contact carries by itself")
        texts = [_written(value) for value in values]
        if len(texts) > 1 and any(text.startswith("<") for text in texts):
            raise ValueError(f"{name}: a string in angle brackets stands alone")
        self._params[key] = ",".join(texts) if texts else None
        self._write()

    def remove(self, name: str) -> None:
        """Take a parameter away; nothing happens when there is none of that name."""
        if self._params.pop(ascii_lower(name), "") != "":
            self._write()

    def clear(self) -> None:
        """Take all of them away."""
        self._params.clear()
        self._text = ""

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of a parameter, None where it stands without one; *default* where there is no such parameter."""
        return self._params.get(ascii_lower(name), default)

    @property
    def text(self) -> str:
        """What goes behind a Contact's angle bracket: ``;audio;language="en,de"``; empty for no parameter."""
        return self._text

    def feature_set(self, methods: Iterable[str] = ()) -> dict[str, str | None]:
        """The parameters as preferences are compared with them.

        :param methods: what the party takes; it counts where no ``methods`` parameter says otherwise.
        """
        features = dict(self._params)
        allowed = ",".join(sorted(methods))
        if allowed:
            features.setdefault("methods", allowed)
        return features

    def _write(self) -> None:
        # RFC 3840 section 9: a value always stands in quotes.
        self._text = format_params(self._params, frozenset(self._params))

    def __getitem__(self, name: str) -> str | None:
        return self._params[ascii_lower(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and ascii_lower(name) in self._params

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._params))

    def __len__(self) -> int:
        return len(self._params)

    def __repr__(self) -> str:
        return f"<FeatureParameters {self._text or 'none'}>"


def _written(value: str | bool | float) -> str:
    """One alternative as RFC 3840 section 9 writes it.

    :raises ValueError: when it cannot be written.
    """
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError(f"{value!r} is not a number that a feature parameter can have")
        return f"#={value:f}".rstrip("0").rstrip(".")
    check_quotable(value)
    if _STRING.fullmatch(value) is None and _TAG_VALUE.fullmatch(value) is None:
        raise ValueError(
            f"{value!r} is neither a token, nor a number after #, nor a string in angle brackets (RFC 3840 section 9)"
        )
    return value


@final
class ContactPreference:
    """One element of an Accept-Contact or a Reject-Contact; ``str()`` writes it (RFC 3841 section 9.2).

    :ivar features: what it is about: feature tag in small letters to the value, None for none.
    :ivar is_required: whether what does not match is not to be reached at all (``require``).
    :ivar is_explicit: whether only what says of itself that it has the features matches (``explicit``).
    """

    __slots__ = ("features", "is_explicit", "is_required")

    def __init__(
        self, features: Mapping[str, str | None], *, is_required: bool = False, is_explicit: bool = False
    ) -> None:
        """
        :raises ValueError: for a name that is no feature tag.
        """
        self.features = {ascii_lower(name): value for name, value in features.items()}
        for name, value in self.features.items():
            if TOKEN.fullmatch(name) is None or not is_feature_tag(name):
                raise ValueError(f"{name!r} is not a feature tag (RFC 3840 section 9)")
            if value is not None:
                check_quotable(value)
        self.is_required = is_required
        self.is_explicit = is_explicit

    def __str__(self) -> str:
        flags = (";require" if self.is_required else "") + (";explicit" if self.is_explicit else "")
        return f"*{format_params(self.features, frozenset(self.features))}{flags}"

    def __repr__(self) -> str:
        return f"<ContactPreference {self}>"

    def score(self, present: Mapping[str, str | None]) -> float | None:
        """How well *present*, the features of a party, fit: 0 to 1; None where the party is not to be reached.

        RFC 3841 section 7.2.4.
        """
        found = 0
        for name, wanted in self.features.items():
            if name not in present:
                continue
            if not _agree(present[name], wanted):
                return None if self.is_required else 0.0
            found += 1
        if found == len(self.features):
            return 1.0
        if self.is_explicit:
            return None if self.is_required else 0.0
        return found / len(self.features)

    def rejects(self, present: Mapping[str, str | None]) -> bool:
        """Whether, as an element of a Reject-Contact, it keeps the request from a party with the features *present*.

        RFC 3841 section 7.2.4: only where the party says something of each feature that it names.
        """
        return bool(self.features) and all(
            name in present and _agree(present[name], unwanted) for name, unwanted in self.features.items()
        )


def parse_preferences(values: Iterable[str], field_name: str) -> list[ContactPreference]:
    """The elements of all Accept-Contact or Reject-Contact fields of a request, in order.

    What stands there besides feature parameters, ``require`` and ``explicit`` says nothing to us.

    :raises MalformedMessage: when an element does not begin with ``*``, or what follows are no parameters (400).
    """
    preferences = []
    for value in values:
        for element in split_values(value):
            if not element:
                continue
            if element[0] != "*":
                raise MalformedMessage(f"{field_name}: not a star and parameters: {element[:64]!r}")
            params = parse_params(element, 1, field_name)
            features = {name: value for name, value in params.items() if is_feature_tag(name)}
            try:
                preference = ContactPreference(
                    features, is_required="require" in params, is_explicit="explicit" in params
                )
            except ValueError as error:
                raise MalformedMessage(f"{field_name}: {error}") from None
            preferences.append(preference)
    return preferences


def preference_score(headers: Headers, present: Mapping[str, str | None]) -> float | None:
    """How much a request with *headers* is for a party with the features *present*: 0 to 1; None for not at all.

    A party that says nothing of itself is immune to preferences (RFC 3841 section 7.2.3).

    :raises MalformedMessage: when a field cannot be read (400).
    """
    accepted = parse_preferences(headers.get_all("Accept-Contact"), "Accept-Contact")
    rejected = parse_preferences(headers.get_all("Reject-Contact"), "Reject-Contact")
    if not present:
        return 1.0
    if any(preference.rejects(present) for preference in rejected):
        return None
    total = 0.0
    for preference in accepted:
        score = preference.score(present)
        if score is None:
            return None
        total += score
    return total / len(accepted) if accepted else 1.0


def has_preferences(headers: Headers) -> bool:
    """Whether a request with *headers* says whom its caller would like to reach."""
    names, _ = headers.parallel_lists()
    return "Accept-Contact" in names or "Reject-Contact" in names


def is_unwanted(headers: Headers, present: Mapping[str, str | None]) -> bool:
    """Whether the caller would rather reach nobody than a party with the features *present* (RFC 3841 section 6).

    :raises MalformedMessage: when a field cannot be read (400).
    """
    return preference_score(headers, present) is None


def parse_request_disposition(value: str) -> frozenset[str]:
    """The directives of a Request-Disposition in small letters: ``no-fork``, ``queue``, ... (RFC 3841 section 9.1).

    Words that the RFC does not know are passed over.

    :raises MalformedMessage: when something is no token, or a directive stands there with its opposite (400).
    """
    words = frozenset(ascii_lower(token) for token in parse_tokens(value, "Request-Disposition"))
    known = frozenset(word for word in words if word in _DIRECTIVES)
    for word in known:
        if known.issuperset(_DIRECTIVES[word]):
            raise MalformedMessage(f"Request-Disposition: {' and '.join(_DIRECTIVES[word])} contradict each other")
    return known


def _agree(present: str | None, wanted: str | None) -> bool:
    """Whether two values of one feature have an alternative in common (RFC 3841 section 8)."""
    return any(_overlap(one, other) for one in _alternatives(present) for other in _alternatives(wanted))


def _alternatives(value: str | None) -> list[str]:
    """The alternatives of a value; a parameter without one stands for TRUE (RFC 3840 section 9)."""
    if value is None:
        return ["true"]
    text = value.strip(" \t")
    # RFC 3840 section 9: strings are compared as they are written, tokens without regard to case.
    return [text] if text.startswith("<") else [ascii_lower(part.strip(" \t")) for part in text.split(",")]


def _overlap(one: str, other: str) -> bool:
    """Whether something can be both."""
    if one.startswith("!") and other.startswith("!"):
        # Whatever the two leave out, something is left.
        return True
    if one.startswith("!"):
        one, other = other, one
    is_negated = other.startswith("!")
    if is_negated:
        other = other[1:]
    left, right = _range(one), _range(other)
    if left is None or right is None:
        return (one == other) != is_negated
    if is_negated:
        # Something of the first range lies outside the second.
        return left[0] < right[0] or left[1] > right[1]
    return left[0] <= right[1] and right[0] <= left[1]


def _range(value: str) -> tuple[float, float] | None:
    """The numbers that a numeric value stands for; None for any other value."""
    match = _NUMERIC.fullmatch(value)
    if match is None:
        return None
    relation, number, low, high = match.groups()
    if relation is None:
        return float(low), float(high)
    bound = float(number)
    return (bound, math.inf) if relation == ">=" else (-math.inf, bound) if relation == "<=" else (bound, bound)
