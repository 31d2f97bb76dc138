"""Feature parameters, and the preferences of callers on them: RFC 3840, RFC 3841."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.name_addr import parse_name_addr
from sip_p2p.sip.preferences import (
    ContactPreference,
    FeatureParameters,
    has_preferences,
    is_feature_tag,
    is_unwanted,
    parse_preferences,
    parse_request_disposition,
    preference_score,
)


def features_of(text: str) -> dict[str, str | None]:
    """The feature parameters of a Contact with *text* behind its URI."""
    params = parse_name_addr(f"<sip:u@h.example>{text}", "Contact").params
    return {name: value for name, value in params.items() if is_feature_tag(name)}


class FeatureParameterTests(SynchronousTestCase):
    """What an application says of its party."""

    def test_values(self) -> None:
        """RFC 3840 section 9: flags, tokens, numbers, truth values and strings, always in quotes. row:A18"""
        for values, text in (
            ((), ";audio"),
            ((True,), ';audio="TRUE"'),
            ((False,), ';audio="FALSE"'),
            (("en", "de"), ';audio="en,de"'),
            (("!fr",), ';audio="!fr"'),
            ((5,), ';audio="#=5"'),
            ((-2.50,), ';audio="#=-2.5"'),
            ((100.0,), ';audio="#=100"'),
            (("#>=10",), ';audio="#>=10"'),
            (("#1:5",), ';audio="#1:5"'),
            (("!#<=3",), ';audio="!#<=3"'),
            (("<sip:x@y.example>",), ';audio="<sip:x@y.example>"'),
        ):
            features = FeatureParameters()
            features.add("Audio", *values)
            self.assertEqual(features.text, text)
            self.assertEqual(features_of(features.text), {"audio": features["audio"]})

    def test_table(self) -> None:
        """Parameters are added, replaced, asked for and removed, whatever the letters of their names. row:A18"""
        features = FeatureParameters()
        self.assertEqual((features.text, len(features), repr(features)), ("", 0, "<FeatureParameters none>"))
        features.add("video")
        features.add("+sip.Rendering", "no")
        features.add("VIDEO", False)
        self.assertEqual(features.text, ';video="FALSE";+sip.rendering="no"')
        self.assertEqual((list(features), len(features)), (["video", "+sip.rendering"], 2))
        self.assertTrue("+SIP.rendering" in features and "audio" not in features and 5 not in features)
        self.assertEqual((features.get("Video"), features["+sip.rendering"]), ("FALSE", "no"))
        self.assertEqual((features.get("audio"), features.get("audio", "x")), (None, "x"))
        self.assertRaises(KeyError, lambda: features["audio"])
        features.remove("Video")
        features.remove("Video")
        features.add("isfocus")
        self.assertEqual(features.text, ';+sip.rendering="no";isfocus')
        features.clear()
        self.assertEqual((features.text, list(features)), ("", []))

    def test_refused(self) -> None:
        """What RFC 3840 has no words for, and what the stack writes itself, changes nothing. row:A18"""
        features = FeatureParameters()
        features.add("audio")
        for name, values in (
            ("q", ()),
            ("expires", ("3600",)),
            ("+sip.instance", ("<urn:uuid:1>",)),
            ("+Sip.Instance", ()),
            ("+a b", ()),
            ("", ()),
            ("video", ("a b",)),
            ("video", ('"',)),
            ("video", ("",)),
            ("video", ("#5",)),
            ("video", ("!!x",)),
            ("video", ("<x>", "<y>")),
            ("video", ("<a\r\nb>",)),
            ("video", (float("nan"),)),
            ("video", (float("inf"),)),
        ):
            self.assertRaises(ValueError, features.add, name, *values)
            self.assertEqual(features.text, ";audio")

    def test_feature_set(self) -> None:
        """The methods count as the parameter that nobody has to write, unless somebody has."""
        features = FeatureParameters()
        self.assertEqual(features.feature_set(), {})
        self.assertEqual(features.feature_set(["INVITE", "BYE"]), {"methods": "BYE,INVITE"})
        features.add("methods", "MESSAGE")
        self.assertEqual(features.feature_set(["INVITE"]), {"methods": "MESSAGE"})


class MatchingTests(SynchronousTestCase):
    """RFC 3841 section 7.2."""

    def test_example(self) -> None:
        """Section 7.2.5: of five contacts one is rejected, one does not match, and the rest come in order. row:A18"""
        contacts = {
            "u1": ';audio;video;methods="INVITE,BYE"',
            "u2": ';audio="FALSE";methods="INVITE";actor="msg-taker"',
            "u3": ';audio;actor="msg-taker";methods="INVITE";video',
            "u4": ';audio;methods="INVITE,OPTIONS"',
            "u5": "",
        }
        headers = Headers(
            [
                ("Reject-Contact", '*;actor="msg-taker";video'),
                ("Accept-Contact", "*;audio;require"),
                ("Accept-Contact", "*;video;explicit"),
                ("Accept-Contact", '*;methods="BYE";class="business";q=1.0'),
            ]
        )
        scores = {name: preference_score(headers, features_of(text)) for name, text in contacts.items()}
        self.assertEqual(scores.pop("u5"), 1.0, "who says nothing is immune")
        self.assertEqual((scores["u2"], scores["u3"]), (None, None))
        self.assertEqual([round(scores[name] or 0, 2) for name in ("u1", "u4")], [0.83, 0.33])

    def test_flags(self) -> None:
        """Section 7.2.4: require drops what does not match, explicit what does not say that it does. row:A18"""
        has, lacks, denies = {"audio": None, "text": None}, {"text": None}, {"audio": "FALSE"}
        for flags, scores in (
            ("", (1.0, 0.0, 0.0)),
            (";require", (1.0, 0.0, None)),
            (";explicit", (1.0, 0.0, 0.0)),
            (";require;explicit", (1.0, None, None)),
        ):
            (preference,) = parse_preferences([f"*;audio{flags}"], "Accept-Contact")
            self.assertEqual(tuple(preference.score(features) for features in (has, lacks, denies)), scores, flags)
        (both,) = parse_preferences(["*;audio;video"], "Accept-Contact")
        self.assertEqual([both.score(features) for features in (has, lacks, denies)], [0.5, 0.0, 0.0])
        (anything,) = parse_preferences(["*"], "Accept-Contact")
        self.assertEqual(anything.score(lacks), 1.0)

    def test_rejected(self) -> None:
        """Section 7.2.4: a rejection counts for who says something of all that it names, and never for everybody."""
        (preference,) = parse_preferences(['*;actor="msg-taker";video'], "Reject-Contact")
        for text, is_rejected in (
            (';actor="msg-taker";video', True),
            (';actor="msg-taker,principal";video;audio', True),
            (';actor="msg-taker"', False),
            (';actor="principal";video', False),
            (';actor="msg-taker";video="FALSE"', False),
        ):
            self.assertEqual(preference.rejects(features_of(text)), is_rejected, text)
        (everybody,) = parse_preferences(["*"], "Reject-Contact")
        self.assertFalse(everybody.rejects({"audio": None}))

    def test_values(self) -> None:
        """Section 8, RFC 3840 section 9: which values have something in common."""
        for one, other, agree in (
            (None, None, True),
            (None, "TRUE", True),
            (None, "FALSE", False),
            ("true", "TRUE", True),
            ("en,de", "DE,fr", True),
            ("en,de", "fr", False),
            ("!en", "en", False),
            ("!en", "de", True),
            ("!en,!de", "en", True),
            ("!en", "!en", True),
            ("#=5", "#>=5", True),
            ("#=5", "#<=4.9", False),
            ("#1:5", "#5:9", True),
            ("#1:5", "#6:9", False),
            ("#-3:+3", "#=0.0", True),
            ("!#1:5", "#2:3", False),
            ("!#1:5", "#2:6", True),
            ("#=5", "five", False),
            ("<A,b>", "<A,b>", True),
            ("<A>", "<a>", False),
            ("<a>", "a", False),
            (" en , de ", "de", True),
        ):
            for left, right in ((one, other), (other, one)):
                preference = ContactPreference({"audio": left}, is_required=True)
                self.assertEqual(preference.score({"audio": right}), 1.0 if agree else None, (left, right))

    def test_unwanted(self) -> None:
        """A request without preferences is for anybody; one that nobody can meet is for nobody. row:A18"""
        self.assertFalse(has_preferences(Headers([("Contact", "<sip:x@y>;audio")])))
        for name in ("Accept-Contact", "Reject-Contact"):
            self.assertTrue(has_preferences(Headers([(name, "*;audio")])))
        self.assertFalse(is_unwanted(Headers(), {"audio": None}))
        self.assertTrue(is_unwanted(Headers([("a", "*;video;require;explicit")]), {"audio": None}))
        self.assertTrue(is_unwanted(Headers([("j", "*;audio")]), {"audio": None}))
        self.assertFalse(is_unwanted(Headers([("j", "*;audio")]), {}))


class GrammarTests(SynchronousTestCase):
    """What the fields look like."""

    def test_read_and_written(self) -> None:
        """Section 9.2: several elements in one field, in any letters; what is read is written the same. row:A18"""
        fields = ['*;Audio;require, *;language="en,de";EXPLICIT', "", '*;+sip.instance="<urn:uuid:1>";x=y;q=0.3']
        found = parse_preferences(fields, "Accept-Contact")
        self.assertEqual(
            [str(preference) for preference in found],
            ["*;audio;require", '*;language="en,de";explicit', '*;+sip.instance="<urn:uuid:1>"'],
        )
        self.assertEqual(repr(found[0]), "<ContactPreference *;audio;require>")

    def test_malformed(self) -> None:
        """What is no star with parameters is an error of whoever sent it, wherever it stands."""
        for name, value in (
            ("Accept-Contact", "<sip:a@b>;audio"),
            ("Accept-Contact", "*;audio;;"),
            ("Reject-Contact", '*;audio="x'),
            ("Reject-Contact", "* audio"),
        ):
            for present in ({}, {"audio": None}):
                self.assertRaises(MalformedMessage, preference_score, Headers([(name, value)]), present)
        # No octets decode to this; whoever makes a message by hand can write it.
        self.assertRaises(MalformedMessage, parse_preferences, ['*;audio="\ud800"'], "Accept-Contact")

    def test_made_wrong(self) -> None:
        """A preference of ours on what is no feature, or that could not be written, is refused where it is made."""
        for features in ({"q": "0.5"}, {"a b": None}, {"audio": "x\r\ny"}):
            self.assertRaises(ValueError, ContactPreference, features)

    def test_disposition(self) -> None:
        """Section 9.1: the directives, in any letters; unknown ones are passed over, contradictions refused. row:A18"""
        self.assertEqual(parse_request_disposition("No-Fork, queue ,x"), {"no-fork", "queue"})
        self.assertEqual(parse_request_disposition(""), frozenset())
        for value in ("fork, no-fork", "proxy,redirect", "parallel, queue, sequential", "a b"):
            self.assertRaises(MalformedMessage, parse_request_disposition, value)

    @given(
        st.dictionaries(
            st.sampled_from(("audio", "video", "language", "priority", "+x.y", "+sip.instance")),
            st.sampled_from((None, "TRUE", "en,de", "!en", "#>=5", "#1:3", "<urn:x>")),
        ),
        st.booleans(),
        st.booleans(),
    )
    def test_there_and_back(self, features: dict[str, str | None], is_required: bool, is_explicit: bool) -> None:
        """Whatever is written is read as it was, and agrees with itself."""
        made = ContactPreference(features, is_required=is_required, is_explicit=is_explicit)
        (read,) = parse_preferences([str(made)], "Accept-Contact")
        self.assertEqual((read.features, read.is_required, read.is_explicit), (made.features, is_required, is_explicit))
        self.assertEqual(read.score(features), 1.0)

    def test_compared_both_ways(self) -> None:
        """Whether two values have something in common does not depend on which is whose."""
        values = (None, "FALSE", "a,b", "!a", "#=1", "#>=1", "#<=0", "#1:2", "!#1:2", "<a>")
        for one, other in itertools.product(values, repeat=2):
            there = ContactPreference({"text": one}).score({"text": other})
            self.assertEqual(there, ContactPreference({"text": other}).score({"text": one}), (one, other))
