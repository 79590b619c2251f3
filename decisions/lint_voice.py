"""What every automated call says, through the linter: each prompt by itself, and the call's frame and voicemail against the law.

What is heard before anybody has said who she is, after "not me", and by a machine, tells of a debt as little as a lock screen.

In:   the prompts of a locale; what stands beside texts (`decisions.lint_all.Beside`).
Out:  findings; their channel is the place in the file, as in `answers.paid`.
Pure: yes.
Source: docs/adr/0030, 0034; 12 CFR 1006.2(j), 47 CFR 64.1200(b).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from decisions.lint import Finding, WordLists, finding, kept, of_text
from decisions.lint_all import Beside, of_law
from decisions.messages import SPOKEN, VOICEMAIL, Text, Words
from decisions.voice import HEARD_BY_ANYBODY, Prompts, as_text, parts

# Gaps that messages do not have. Whatever fills them is a name or a number, as harmless as the lender's name.
_OF_A_CALL: Final = re.compile(r"\{(?:name|phone|agent)\}")
# Together they are what is said around a message's own words.
FRAME: Final = ("greeting", "identify", "menu")
# The words of collection messages for a voice are a lender's own; a debt collector would owe more (US-REGF-MINIMIRANDA).
ROLES: Final = frozenset({"first_party"})


def of_words(prompts: Prompts, lists: WordLists) -> list[Finding]:
    """What is wrong with the words themselves, whatever fills their gaps.

    Args:
        prompts: Of one locale.
        lists: The word lists.
    """
    text = as_text(prompts)
    if text.locale not in lists.languages:
        return [finding(text, "", "", "no_word_list", text.locale)]
    found = [
        replace(one, channel=place, part="")
        for place, words in parts(prompts).items()
        for one in of_text(_said(text, VOICEMAIL if place in HEARD_BY_ANYBODY else SPOKEN, words), lists)
    ]
    return list(dict.fromkeys(found))


def of_prompts(prompts: Prompts, beside: Beside) -> list[Finding]:
    """What is wrong with the prompts of a locale, by their words and by the law of where it is read.

    Args:
        prompts: Of one locale.
        beside: Word lists and rule packs.
    """
    found = of_words(prompts, beside.lists)
    text = as_text(prompts)
    if text.locale not in beside.lists.languages:
        return found
    return [*found, *kept(list(dict.fromkeys(_against_the_law(prompts, beside))), text, beside.lists)]


def _against_the_law(prompts: Prompts, beside: Beside) -> Iterator[Finding]:
    text, said = replace(as_text(prompts), creditor_roles=ROLES), parts(prompts)
    for place, channel, words in (
        ("greeting", SPOKEN, " ".join(said[part] for part in FRAME)),
        ("voicemail", VOICEMAIL, said["voicemail"]),
    ):
        language = beside.lists.languages[text.locale]
        findings = of_law(_said(text, channel, words), language, beside, whole_call=True)
        yield from (replace(one, channel=place, part="") for one in findings)


def _said(text: Text, channel: str, words: str) -> Text:
    return replace(text, words={channel: Words(body=_OF_A_CALL.sub("{creditor}", words))})
