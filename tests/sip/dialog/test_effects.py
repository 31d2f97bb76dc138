"""Tests of what dialogs and INVITEs can say."""

from __future__ import annotations

import inspect
from typing import get_args

from sip_p2p.sip.dialog import effects as module
from sip_p2p.sip.dialog.effects import (
    AckWanted,
    Ending,
    Errand,
    InDialogRequestReceived,
    InviteEffect,
    Purpose,
    RequestWanted,
)
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Response
from sip_p2p.sip.outputs import Output
from tests.sip.dialog.dialogs import caller_dialog
from tests.support import SynchronousTestCase


class Owner:
    """Hears what becomes of an errand."""

    def errand_answered(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """A response."""

    def errand_failed(self, errand: Errand, reason: BaseException, now: float) -> None:
        """None."""


class EffectTests(SynchronousTestCase):
    """Each kind is a plain value that names whose it is."""

    def test_all_of_them(self) -> None:
        """The union holds every effect, each final, with slots and nothing beyond them, and all are outputs."""
        kinds = set(get_args(InviteEffect))
        exported = {
            value
            for name in module.__all__
            if inspect.isclass(value := getattr(module, name))
            if value not in (Errand, Ending, Purpose) and getattr(value, "__final__", False)
        }
        self.assertEqual(kinds, exported)
        self.assertEqual(kinds - set(get_args(Output)), set())
        for kind in kinds:
            self.assertFalse(hasattr(kind.__new__(kind), "__dict__"), kind)

    def test_each_says_whose_it_is(self) -> None:
        """An effect has an owner, an errand with one, or a dialog that has one: whoever hears it finds the session."""
        for kind in get_args(InviteEffect):
            self.assertTrue({"owner", "errand", "dialog"} & set(kind.__slots__), kind)

    def test_errand(self) -> None:
        """An errand says whose it is, what is to be sent, what for, and which transaction carries it once one does."""
        plan = caller_dialog().plan("BYE")
        errand = Errand(Owner(), plan, Purpose.BYE, "mine")
        self.assertEqual((errand.plan, errand.purpose, errand.user), (plan, Purpose.BYE, "mine"))
        self.assertIsNone(errand.transaction)
        self.assertIs(RequestWanted(errand).errand, errand)

    def test_in_words(self) -> None:
        """How a session ended and what a request is for are words for a log, no two the same."""
        for words in (Ending, Purpose):
            texts = [member.value for member in words]
            self.assertEqual(len(set(texts)), len(texts))
            self.assertTrue(all(" " in text for text in texts), texts)

    def test_parts(self) -> None:
        """What an effect is made of is what it keeps: each argument becomes the attribute of its name."""
        for kind in (AckWanted, InDialogRequestReceived):
            arguments = list(inspect.signature(kind.__init__).parameters)[1:]
            self.assertLessEqual(set(arguments), set(kind.__slots__))
            values = [object() for _ in arguments]
            effect = kind(*values)  # type: ignore[arg-type]
            self.assertEqual([getattr(effect, name) for name in arguments], values)
