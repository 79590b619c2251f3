"""What a text message costs: encoding, units and segments.

In:   the text as the person reads it.
Out:  GSM-7 or UCS-2, how many units it takes, and into how many segments it is cut.
Pure: no I/O.
Source: 3GPP TS 23.038 (alphabet and extension table), TS 23.040 (concatenation: the header leaves 153 septets or 67
        16-bit units); Twilio's page "List of characters replaced by Smart Encoding" for `smart`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

GSM_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Sent as an escape and a second septet: two units that are never cut apart.
GSM_EXTENSION: Final = frozenset("\f^{}\\[~]|€")

# Channels whose messages are charged by the segment.
SEGMENTED: Final = frozenset({"sms"})

GSM_UNITS_ALONE: Final = 160
GSM_UNITS_OF_MANY: Final = 153
UCS2_UNITS_ALONE: Final = 70
UCS2_UNITS_OF_MANY: Final = 67
LAST_OF_THE_BASIC_PLANE: Final = 0xFFFF

# What is written instead → the characters that look like it.
LOOK_ALIKES: Final = {
    '"': "«»“”„‟ʺˮ❝❞〝〞",
    "'": "‘’‛ʻʼʽˈʹˊˋ´`❛❜‗",
    "/": "÷⁄∕⧸",
    "\\": "⧵⧹",
    "|": "∣⎸⎹⏐⎜⎟",
    "-": "‐‑‒–—―⁃⎼⎽•",
    "!": "ǃ",
    ",": "、‚",
    ".": "。",
    "(": "❨❪⟮⦅",
    ")": "❩❫⟯⦆",
    "*": "⁎∗⊛✢✣✤✥✱✲✳✺✻✼✽❃❉❊❋⧆",
    "+": "˖",
    ":": "ː˸⦂꞉",
    ";": "⁏",
    "=": "꞊",
    "^": "ˆ",
    "{": "❴",
    "}": "❵",
    "~": "˜˷∼",
    "<": "‹",
    ">": "›",
    " ": "\u2028\u2029\t",
    "": "\u200b\u2060\ufeff",
    "...": "…",
    "!!": "‼",
    "1/4": "¼",
    "1/2": "½",
    "3/4": "¾",
}
# Full-width, small and vertical forms of ASCII, and all odd spaces: compatibility decomposition knows them.
FORMS_OF_ASCII: Final = (range(0xFF01, 0xFF5F), range(0xFE50, 0xFE6C), range(0xFE13, 0xFE17))
SMART: Final = str.maketrans({character: plain for plain, characters in LOOK_ALIKES.items() for character in characters})


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Cost of one text.

    Attributes:
        encoding: GSM-7 when every character is in its alphabet, else UCS-2.
        units: Septets or 16-bit units of the text alone, without the headers of concatenation.
        segments: Messages that are charged; an empty text is one.
    """

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int


def measure(text: str) -> Size:
    """Encoding, units and segments of `text`."""
    if all(character in GSM_BASIC or character in GSM_EXTENSION for character in text):
        widths = [2 if character in GSM_EXTENSION else 1 for character in text]
        return Size(encoding="GSM-7", units=sum(widths), segments=_segments(widths, GSM_UNITS_ALONE, GSM_UNITS_OF_MANY))
    widths = [2 if ord(character) > LAST_OF_THE_BASIC_PLANE else 1 for character in text]
    return Size(encoding="UCS-2", units=sum(widths), segments=_segments(widths, UCS2_UNITS_ALONE, UCS2_UNITS_OF_MANY))


def smart(text: str) -> str:
    """`text` with look-alikes of GSM-7 characters written as those: curly quotes, dashes, full-width forms, odd spaces.

    A character without a look-alike stays, and with it the encoding UCS-2.
    """
    return "".join(_plain(character) for character in text.translate(SMART))


def _plain(character: str) -> str:
    if unicodedata.category(character) == "Zs" or any(ord(character) in forms for forms in FORMS_OF_ASCII):
        return unicodedata.normalize("NFKC", character).translate(SMART)
    return character


def _segments(widths: list[int], alone: int, of_many: int) -> int:
    """Greedy filling: a character of two units that does not fit goes whole into the next segment."""
    if sum(widths) <= alone:
        return 1
    segments, used = 1, 0
    for width in widths:
        if used + width > of_many:
            segments, used = segments + 1, 0
        used += width
    return segments
