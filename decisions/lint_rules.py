"""The linter's rules: how grave a breach is, why it matters to the person who reads, and what to write instead.

They stand in code and not in a file: nobody switches a rule off; an exception is for one text, by its hash, with its reason.

In:   nothing.
Out:  values.
Pure: values only.
Source: issue "Every channel, every answer"; LAW.md, primitive 14 (required and forbidden content); DOMAIN.md; SCIENCE.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        severity: `error`: nobody receives the text. `warning`: somebody should look at it.
        because: Why it matters.
        instead: What to write.
    """

    severity: Severity
    because: str
    instead: str


# Rules whose words are listed by language (config/lint/<locale>.yaml).
LISTED: Final = ("threat", "shame", "false_urgency", "imitation", "third_party", "other_purpose")
TRADE_WORD: Final = "trade_word"
REVEALS_DEBT: Final = "reveals_debt"

RULES: Final[dict[str, Rule]] = {
    "threat": Rule("error", "it threatens", "say what is open and how we can help, and nothing of what might follow"),
    "shame": Rule("error", "it shames", "ask how things are, and judge nobody"),
    "false_urgency": Rule("error", "it presses with an urgency that is not there", "name the date, and leave the time to the person"),
    "imitation": Rule("error", "it speaks like a court, an authority or a lawyer", "write as the lender, in plain words"),
    "third_party": Rule("error", "it brings other people into a matter that is the person's own", "speak of nobody but the person"),
    "other_purpose": Rule("error", "it advertises; a message serves one purpose", "leave the offer out"),
    TRADE_WORD: Rule("error", "it is a word of the trade, which no borrower reads", "use the borrower's glossary"),
    REVEALS_DEBT: Rule(
        "error", "others see a lock screen and hear a voicemail, and this tells them of a debt", "say who writes, and that there is news"
    ),
    "shouting": Rule("error", "it shouts", "write in sentences, without exclamation marks and capitals"),
    "placeholder": Rule("error", "it looks like something that was to be filled in", "fill it in, or take it out"),
    "link": Rule("error", "a text leads to the person's own page and nowhere else: other links look like a fraud", "write {link}"),
    "phone_number": Rule("error", "a number in a text or notification looks like a fraud", "let the person answer, or write {link}"),
    "mixed_script": Rule("error", "letters of another script stand in it: words can hide so", "use the language's own letters"),
    "other_characters": Rule("error", "these characters belong to another way of writing the language", "use those of the locale"),
    "other_region": Rule("warning", "this word belongs to another country's language", "use the locale's own word"),
    "invisible": Rule("error", "it holds characters that nobody sees", "take them out"),
    "brackets": Rule("error", "a bracket or a quotation mark has no partner", "close it, or take it out"),
    "opt_out": Rule("error", "an electronic message says how to stop further ones", "say how: {stop}, or where notices are turned off"),
    "stop_word": Rule("error", "the word is not read as a stop, so nothing would happen", "name a word that config/replies.yaml knows"),
    "one_purpose": Rule("error", "a message of this purpose asks for nothing", "leave the amount, the date or the link out"),
    "lacks": Rule("error", "the law wants it said", "say it in words that the rule pack knows"),
    "forbidden_by_law": Rule("error", "the law forbids it", "leave it out"),
    "not_judged": Rule("warning", "the rule pack has no words for it in this language: nothing is sent there", "add them to the pack"),
    "no_word_list": Rule("error", "nobody has listed this language's words", "write config/lint/<locale>.yaml"),
    "says_less": Rule("warning", "the same message says more in English", "name the same facts in every language"),
    "hard_to_read": Rule("warning", "people in distress read it", "use shorter sentences and plainer words"),
    "long_sentence": Rule("warning", "people in distress read it", "make two sentences of it"),
    "encoding": Rule("warning", "one character makes the text message cost twice as much", "write what looks alike in GSM-7"),
    "too_long": Rule("warning", "it is cut into more pieces than a text message of this language should have", "say it in fewer words"),
    "after_link": Rule("warning", "what stands right behind a link becomes a part of it on many phones", "leave a space behind {link}"),
    "void_exception": Rule("warning", "what it excepts is there no more", "take it out of config/lint/exceptions.yaml"),
}
