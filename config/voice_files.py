"""Reads config/voice: what every automated call says, one file a locale.

In:   the files.
Out:  `decisions.voice.Prompts`.
Pure: no; reads files. A file whose menu does not name every key, or that a machine would hear a debt from, is refused.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from config.load import ConfigError, Strict, read
from config.settings import settings
from decisions.messages import GAP, NoTextError, known_locale
from decisions.voice import FIRST_KEYS, GAPS, IDENTIFIED, KEYS, Prompts, digits_named

VOICE: Final = Path(__file__).with_name("voice")
Phrase = Annotated[str, Field(min_length=1)]
# Answers of both menus; the first key of the first has the message itself as its answer.
ANSWERED: Final = (frozenset(FIRST_KEYS.values()) | frozenset(KEYS.values())) - {IDENTIFIED}


class PromptsForm(Strict):
    """One file, as written."""

    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}-[A-Z]{2}$")]
    approved: Literal["true", "draft", "false"]
    greeting: Phrase
    identify: Phrase
    menu: Phrase
    answers: dict[str, Phrase]
    goodbye: Phrase
    voicemail: Phrase

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Every key is named where it counts, every gap is known, and who calls for whom is said first."""
        for field in ("greeting", "identify", "menu", "goodbye", "voicemail"):
            if unknown := set(GAP.findall(getattr(self, field))) - GAPS:
                raise ValueError(f"{field}: unknown gap {{{min(unknown)}}}")
        if not {"creditor", "name"} <= set(GAP.findall(self.greeting)):
            raise ValueError("greeting: says who calls, {creditor}, and for whom, {name}")
        if not {"creditor", "phone", "agent"} <= set(GAP.findall(self.voicemail)):
            raise ValueError("voicemail: says who calls, {creditor}, whom to ask for, {agent}, and at which number, {phone}")
        for field, keys in (("identify", FIRST_KEYS), ("menu", KEYS)):
            if digits_named(getattr(self, field)) != set(keys):
                raise ValueError(f"{field}: names the keys {', '.join(sorted(keys))} and no others")
        if set(self.answers) != ANSWERED:
            raise ValueError(f"answers: one for each of {', '.join(sorted(ANSWERED))}")
        return self


def voice_prompts(folder: Path = VOICE) -> dict[str, Prompts]:
    """Read what is said in every locale.

    Raises:
        ConfigError: A file is not of that form, or its name is no locale.
    """
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            known_locale(path.stem)
        except NoTextError as error:
            raise ConfigError(path, None, "", "the file's name is no locale that is known") from error
        form = read(path, PromptsForm)
        found[path.stem] = Prompts(
            locale=path.stem,
            language=form.language,
            approved=form.approved != "false",
            draft=form.approved == "draft",
            version=sha256(path.read_bytes()).hexdigest(),
            greeting=form.greeting,
            identify=form.identify,
            menu=form.menu,
            answers=form.answers,
            goodbye=form.goodbye,
            voicemail=form.voicemail,
        )
    return found


@lru_cache(maxsize=1)
def voice_prompts_in_force() -> dict[str, Prompts]:
    """The shipped files, read once a process; with the real providers no drafts (what may be said: `ledger.law.voice_in_force`)."""
    return {locale: prompts for locale, prompts in voice_prompts().items() if not (prompts.draft and settings().is_real)}
