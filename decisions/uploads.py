"""Uploads: what a file is, by its content alone, and whether it is one that a person may send us.

Its name and what a browser calls it are never looked at. A file that is two things at once (a picture that is also an archive, a PDF
with a page of HTML before it) is refused, and so is a PDF that carries a script or another file within.

In:   the bytes of a file.
Out:  its kind, or None = not taken.
Pure: yes.
Source: OWASP ASVS 5.0, V5 (file handling); ISO 32000-1, 7.5 (PDF); W3C PNG, 5 (chunks); docs/adr/0049.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, get_args

import puremagic

FileKind = Literal["pdf", "jpeg", "png", "text"]
FILE_KINDS: Final[tuple[str, ...]] = get_args(FileKind)
# What a file is saved and handed out as. Plain bytes: no browser shows or runs them.
ENDING_OF: Final[Mapping[str, str]] = {"pdf": "pdf", "jpeg": "jpg", "png": "png", "text": "txt"}
# What puremagic calls them → kind, and the bytes that each begins with.
_KNOWN: Final[Mapping[str, FileKind]] = {
    ".pdf": "pdf", ".fdf": "pdf", ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg",
}  # fmt: skip
_BEGINS: Final[Mapping[str, bytes]] = {"pdf": b"%PDF-", "png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}
# Archives are read from their end: its mark lies in the last bytes, comment included.
_ARCHIVE_END: Final = b"PK\x05\x06"
_ARCHIVE_TAIL: Final = 22 + 65_535
_PDF_TAIL: Final = 1_024
_PDF_HEAD: Final = 1_024
# Of a page or a program; in a picture or a text of ours none of them has a place.
_MARKUP: Final = re.compile(rb"<\s*(?:!doctype|html|script|svg|iframe|object|embed|\?php|\?xml-stylesheet)", re.IGNORECASE)
_PDF_ACTS: Final = re.compile(rb"/(?:JavaScript|Launch|EmbeddedFile)\b")
# Larger, and a viewer would need more memory than a desk has.
PIXELS_MAX: Final = 100_000_000
_PNG_END: Final = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def kind_of(content: bytes) -> FileKind | None:
    """What a file is; None where it is nothing that may be sent to us."""
    found = _found(content)
    if found is None:
        return "text" if _is_text(content) else None
    if not content.startswith(_BEGINS[found]) or _ARCHIVE_END in content[-_ARCHIVE_TAIL:]:
        return None
    return found if _WHOLE[found](content) else None


def _found(content: bytes) -> FileKind | None:
    """What puremagic takes it for; it names several, since some forms begin alike."""
    try:
        named = {_KNOWN[match.extension] for match in puremagic.magic_string(content) if match.extension in _KNOWN}
    except (puremagic.PureError, ValueError):  # of nothing that it knows, and of nothing at all
        return None
    return named.pop() if len(named) == 1 else None


def _is_text(content: bytes) -> bool:
    """Words in UTF-8 without control characters, and no markup."""
    try:
        words = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    printable = all(sign >= " " or sign in "\t\r\n" for sign in words)
    # Viewers look for a PDF's beginning also some bytes later.
    is_hidden = _BEGINS["pdf"] in content[:_PDF_HEAD]
    return bool(words.strip()) and printable and "\x7f" not in words and not is_hidden and _MARKUP.search(content) is None


def _is_pdf(content: bytes) -> bool:
    return b"%%EOF" in content[-_PDF_TAIL:] and _PDF_ACTS.search(content) is None


def _is_png(content: bytes) -> bool:
    """Ends where a picture ends, and is of a size that can be shown."""
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    return content[12:16] == b"IHDR" and 0 < width * height <= PIXELS_MAX and content.endswith(_PNG_END) and _MARKUP.search(content) is None


def _is_jpeg(content: bytes) -> bool:
    """Phones add things of their own behind the end; a page or a program is none of them."""
    return b"\xff\xd9" in content and _MARKUP.search(content) is None


_WHOLE: Final = {"pdf": _is_pdf, "png": _is_png, "jpeg": _is_jpeg}
