"""Reads what pages say: a folder a locale, in it a file a subject, and the English files say which texts there are.

In:   a folder like config/portal; config/messages/locales.yaml, for how each locale writes money and dates.
Out:  `PageWords` by locale.
Pure: no; reads files. A locale that leaves out a text, or has one too many, or other gaps than English has, is refused, and so is a
      text that two files of a locale name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from config.load import ConfigError, Document, Strict, checked, parse
from config.message_files import locale_words
from decisions.messages import GAP, known_locale
from decisions.words import CHANNELS

# What is said where a browser names no language of ours, and the measure of all other files.
USUAL: Final = "en"
# Before the name of a channel: what a person calls it.
WAY: Final = "way_"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageWords:
    """What pages say in one locale.

    Attributes:
        locale: BCP 47 tag of its folder's name.
        writes_like: Tag of the region whose way to write money and dates it follows.
        stop: Word that stops messages in its language.
        texts: Name → words, with gaps.
    """

    locale: str
    writes_like: str
    stop: str
    texts: Mapping[str, str]

    def say(self, text: str, **values: str) -> str:
        """A text with its gaps filled."""
        return GAP.sub(lambda gap: values[gap[1]], self.texts[text])

    @property
    def ways(self) -> dict[str, str]:
        """Channel → what a person calls it; of a folder that names them."""
        return {channel: self.texts[f"{WAY}{channel}"] for channel in CHANNELS}


class SubjectForm(Strict):
    """One file, as written. `draft`: nobody who reads the language has said yes to it yet."""

    approved: Literal["true", "draft"]
    texts: dict[str, Annotated[str, Field(min_length=1)]]


def page_texts(folder: Path, *, drafts: bool = True) -> dict[str, PageWords]:
    """Read what pages say in every locale.

    Args:
        folder: Of the locales.
        drafts: Also locales of which a file is a draft.

    Raises:
        ConfigError: A file is not of that form, its locale is not in locales.yaml, or English is not there.
    """
    shared = locale_words()
    usual = _subjects(folder / USUAL)
    found = {}
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        if place.name not in shared:
            raise ConfigError(place, None, "", "the locale of this folder's name is not in locales.yaml")
        subjects = usual if place.name == USUAL else _subjects(place)
        if missing := sorted(set(usual) - set(subjects)):
            raise ConfigError(place, None, "", f"missing files {', '.join(missing)}, which English has")
        texts: dict[str, str] = {}
        for subject, (document, form) in subjects.items():
            _is_whole(document, form, usual[subject][1] if subject in usual else None)
            if twice := sorted(texts.keys() & form.texts.keys()):
                raise document.error(["texts"], f"another file of this locale has {', '.join(twice)} too")
            texts |= form.texts
        if drafts or all(form.approved == "true" for _, form in subjects.values()):
            own = shared[place.name]
            known_locale(own.writes_like)
            found[place.name] = PageWords(locale=place.name, writes_like=own.writes_like, stop=own.stop, texts=texts)
    if USUAL not in found:
        raise ConfigError(folder, None, "", f"not all is approved in {USUAL}, which is shown where no other language is asked for")
    return found


def _subjects(folder: Path) -> dict[str, tuple[Document, SubjectForm]]:
    """Subject → its file."""
    documents = {path.stem: parse(path) for path in sorted(folder.glob("*.yaml"))}
    return {subject: (document, checked(document, document.plain, SubjectForm)) for subject, document in documents.items()}


def _is_whole(document: Document, form: SubjectForm, usual: SubjectForm | None) -> None:
    """Refuse a file that does not say what the English one does."""
    if usual is None:
        raise document.error([], "there is no such file in English")
    given, asked = set(form.texts), set(usual.texts)
    if given != asked:
        raise document.error(["texts"], f"missing {', '.join(sorted(asked - given))}; unknown {', '.join(sorted(given - asked))}")
    for name, words in form.texts.items():
        gaps = set(GAP.findall(usual.texts[name]))
        if set(GAP.findall(words)) != gaps:
            raise document.error(["texts", name], f"has exactly the gaps {', '.join(sorted(gaps)) or 'of none'}")
