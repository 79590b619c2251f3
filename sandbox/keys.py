"""Which key somebody presses who listens to a menu: the one that stands in the sentence about what they want.

In:   what was heard, the language of the one who listens, what they want.
Out:  a digit, or None where no sentence is about it.
Pure: yes. Written for no menu in particular: a sentence that holds one of these words and a digit is the one.
"""

from __future__ import annotations

import re
from typing import Final

from sandbox.words import language_of

# What people want of a menu.
WANTS: Final = ("me", "not_me", "paid", "cannot_pay", "call_me", "help", "stop")
_SENTENCE_END = re.compile(r"[.;!?。；！？\n]+")
# A name or a number may have digits too: the key is what is to be pressed.
_PRESSED = re.compile(r"(?:press|oprima|presione|marque|pulse|按|请按|請按)\D{0,12}?(\d)")
_WORDS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "en": {
        "me": ("if you are", "if this is you", "speaking"),
        "not_me": ("not ", "wrong number", "somebody else"),
        "paid": ("paid",),
        "cannot_pay": ("more time",),
        "call_me": ("call you back", "call back", "call me"),
        "help": ("talk to", "speak to", "a person"),
        "stop": ("stop", "no more calls"),
    },
    "es": {
        "me": ("si usted es", "si es usted"),
        "not_me": ("no es", "no soy", "equivocado"),
        "paid": ("ya pagó", "ya pago", "pagado"),
        "cannot_pay": ("más tiempo",),
        "call_me": ("le llamemos", "devolvamos la llamada", "llámenme"),
        "help": ("hablar con",),
        "stop": ("no le llamemos", "dejar de", "no recibir"),
    },
    "zh-Hans": {
        "me": ("如果您是", "您就是", "您是"),
        "not_me": ("不是", "打错"),
        "paid": ("已经还", "已经付", "已付"),
        "cannot_pay": ("更多时间", "宽限"),
        "call_me": ("回电", "打给您"),
        "help": ("人工", "专人"),
        "stop": ("不再", "停止"),
    },
    "zh-Hant": {
        "me": ("如果您是", "您就是", "您是"),
        "not_me": ("不是", "打錯"),
        "paid": ("已經繳", "已經付", "已付"),
        "cannot_pay": ("更多時間", "寬限"),
        "call_me": ("回電", "打給您"),
        "help": ("專人", "人員"),
        "stop": ("不再", "停止"),
    },
}


def key_for(want: str, heard: str, locale: str) -> str | None:
    """The key that the menu names for what somebody wants.

    Args:
        want: One of `WANTS`.
        heard: Everything that was said.
        locale: Of the one who listens; nobody presses a key of a menu that they do not understand.

    Raises:
        KeyError: Nobody wants that.
    """
    phrases = _WORDS[language_of(locale)][want]
    others = _WORDS[language_of(locale)]["not_me"] if want == "me" else ()
    for sentence in _SENTENCE_END.split(heard.lower()):
        named = _PRESSED.search(sentence)
        if named and any(phrase in sentence for phrase in phrases) and not any(phrase in sentence for phrase in others):
            return named[1]
    return None
