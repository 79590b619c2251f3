"""How many segments a text is sent in: GSM 03.38 with its extension table, else UCS-2.

In:   a text.
Out:  the number of segments.
Pure: yes. 160 units fit alone and 153 in each part of several (GSM-7); 70 and 67 (UCS-2). Neither an extension
      character nor a surrogate pair is split between parts.
"""

from __future__ import annotations

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")
_ALL = _BASIC | _EXTENSION


def segments(text: str) -> int:
    """Segments of a text; an empty one takes one."""
    if _ALL.issuperset(text):
        return _parts([2 if character in _EXTENSION else 1 for character in text], alone=160, part=153)
    return _parts([2 if ord(character) > 0xFFFF else 1 for character in text], alone=70, part=67)  # noqa: PLR2004  # the last character of UCS-2


def _parts(units: list[int], *, alone: int, part: int) -> int:
    if sum(units) <= alone:
        return 1
    parts, used = 1, 0
    for unit in units:
        if used + unit > part:
            parts, used = parts + 1, 0
        used += unit
    return parts
