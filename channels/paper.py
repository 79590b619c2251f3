"""Paper: the words of a message become a PDF that a print shop can print and a screen reader can read.

Typst sets it (docs/adr/0029): it shapes Hindi and Thai, breaks Chinese and Japanese lines, embeds no more of a font than is used,
and refuses, under PDF/UA-1 and PDF/A-2a, to write a page with a character that no font has.

In:   what stands on the letter.
Out:  bytes of a PDF, and how many pages it has.
Pure: as good as: reads the template and the fonts of its packages, nothing of the machine; the same letter gives the same bytes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import fontpkg_noto_sans
import fontpkg_noto_sans_devanagari
import fontpkg_noto_sans_thai
import pylopdf_fonts_jp
import pylopdf_fonts_ko
import pylopdf_fonts_zh_cn
import pylopdf_fonts_zh_tw
import typst
from babel import Locale, UnknownLocaleError
from babel.core import get_global

from decisions.blocks import Block, Table

TEMPLATE: Final = Path(__file__).with_name("letter.typ")
# Where paper is cut to letter size; everywhere else it is A4 (CLDR, "paperSize").
LETTER_SIZE: Final = frozenset({"US", "CA", "MX", "PR", "CL", "CO", "CR", "GT", "NI", "PA", "SV", "VE", "PH", "BZ"})
STANDARDS: Final[tuple[Any, ...]] = ("a-2a", "ua-1")
_LATIN: Final = "Noto Sans"
# Script → the font whose letters come first: the same Han character is drawn otherwise in Tokyo and in Taipei.
_FONT_OF_SCRIPT: Final = {
    "Deva": "Noto Sans Devanagari",
    "Thai": "Noto Sans Thai",
    "Hans": "Noto Sans SC",
    "Hant": "Noto Sans TC",
    "Jpan": "Noto Sans JP",
    "Kore": "Noto Sans KR",
}
_FOLDERS: Final = tuple(
    sorted(
        {
            *(package.ROOT / "files" for package in (fontpkg_noto_sans, fontpkg_noto_sans_devanagari, fontpkg_noto_sans_thai)),
            *(package.sans_path().parent for package in (pylopdf_fonts_jp, pylopdf_fonts_ko, pylopdf_fonts_zh_cn, pylopdf_fonts_zh_tw)),
        }
    )
)
_own: Final = threading.local()


class CannotBeSet(ValueError):
    """A letter cannot be written: a character that no font has, or a locale that is unknown. Says nothing of what it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What stands on a letter; personal, never logged.

    Attributes:
        locale: BCP 47: decides language, script and font.
        title: Heading, and the document's title.
        blocks: What is said.
        to: Lines of the envelope's window; none = it goes into no envelope (portal/papers.py).
        sender: Lines of the sender's address; the first one is the creditor's name.
        country: Where the letter goes (ISO 3166-1): decides the size of the paper.
        reference: At the foot of each page: what a returned letter is known by.
        sample: A letter of the sandbox: SAMPLE stands across each page, so that nobody posts it.
    """

    locale: str
    title: str
    blocks: tuple[Block, ...] = field(repr=False)
    to: tuple[str, ...] = field(repr=False)
    sender: tuple[str, ...]
    country: str
    reference: str
    sample: bool


def write_pdf(paper: Paper) -> tuple[bytes, int]:
    """Set a letter: the PDF, and its number of pages.

    Raises:
        CannotBeSet: No font has one of its characters, or its locale is not known.
    """
    compiler = _compiler()
    given = {"letter": json.dumps(_given(paper), ensure_ascii=False)}
    try:
        pdf = compiler.compile(format="pdf", sys_inputs=given, pdf_standards=list(STANDARDS), timestamp=0)
        pages = compiler.query("<pages>", field="value", one=True)
    except typst.TypstError:
        # Its words quote the letter's.
        raise CannotBeSet("a character that no font has, or a page that cannot be set") from None
    assert isinstance(pdf, bytes)  # noqa: S101  # no list of pages, no file
    return pdf, int(pages)


def size_of(country: str) -> str:
    """Size of the paper that printers of a country hold: `us-letter` or `a4`."""
    return "us-letter" if country in LETTER_SIZE else "a4"


def _given(paper: Paper) -> dict[str, Any]:
    language, script, region = _read_locale(paper.locale)
    first = _FONT_OF_SCRIPT.get(script, _LATIN)
    return {
        "lang": language,
        "region": region,
        "fonts": list(dict.fromkeys([first, _LATIN, *_FONT_OF_SCRIPT.values()])),
        "paper": size_of(paper.country),
        "title": paper.title,
        "creditor": paper.sender[0],
        "from": list(paper.sender),
        "to": list(paper.to),
        "reference": paper.reference,
        "sample": paper.sample,
        "blocks": list(_as_json(paper.blocks)),
    }


def _as_json(blocks: Iterable[Block]) -> Iterable[dict[str, Any]]:
    for block in blocks:
        yield {"head": block.head, "rows": block.rows} if isinstance(block, Table) else {"paragraph": block}


@lru_cache(maxsize=256)
def _read_locale(tag: str) -> tuple[str, str, str | None]:
    """Language, script and territory of a tag, as CLDR expects them where it does not say.

    Raises:
        CannotBeSet: CLDR does not know it.
    """
    try:
        known = Locale.parse(tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        raise CannotBeSet(f"no such locale: {tag}") from None
    likely = get_global("likely_subtags")
    named = (f"{known.language}_{known.script}", f"{known.language}_{known.territory}", known.language)
    full = next((likely[name] for name in named if name in likely), known.language)
    _, script, territory = [*full.split("_"), None, None][:3]
    return known.language, known.script or script or "Latn", known.territory or territory


def _compiler() -> typst.Compiler:
    """The compiler of this thread: it keeps what it has read of the template and the fonts."""
    found: typst.Compiler | None = getattr(_own, "compiler", None)
    if found is None:
        fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(folder) for folder in _FOLDERS])
        found = _own.compiler = typst.Compiler(str(TEMPLATE), root=str(TEMPLATE.parent), font_paths=fonts, ignore_system_fonts=True)
    return found
