"""The page of a message: every channel of it as a picture of a phone, all languages side by side. Nothing is fetched from anywhere.

In:   a `MessagePreview`.
Out:  one HTML document.
Pure: yes; its style sheet is read once, when it is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Final

from decisions.text_samples import Shown
from tasks.preview_message import Language, MessagePreview

# Channel → its heading, and what whoever looks should know of it.
CHANNELS: Final[Mapping[str, tuple[str, str]]] = {
    "sms": (
        "Text message",
        "Cut into segments, and each is charged: 160 characters of the short alphabet (GSM-7), 70 of any other (UCS-2).",
    ),
    "push": ("Notification", "Stands on a lock screen, where others read along: it says nothing of a payment."),
    "in_app": ("In the app", "Seen by whoever has unlocked the app."),
    "whatsapp": ("WhatsApp", "Outside the 24 hours after the person's own message only as a registered template."),
    "messenger": ("Messenger", "In private, never on a page."),
    "rcs": ("RCS", "From a verified sender."),
    "voice": ("Call", "Spoken only after the person has said that she is the one who was asked for."),
    "voicemail": ("Voicemail", "Others may hear it: it says nothing of a payment."),
    "call": ("Call by a person", "What the colleague says first."),
    "email": ("E-mail", "The subject stands in a list where others read along: it says nothing of a payment."),
    "letter": ("Letter", "The breakdown of what is owed is set below it when it is printed."),
}
STATUS: Final[Mapping[str, str]] = {
    "ready": "ready: live mode asks two people besides",
    "draft": "draft: sandbox mode only",
    "withdrawn": "withdrawn: nobody receives it",
}
_STYLE: Final = Path(__file__).with_name("message_page.css").read_text("utf-8")
_WAVE: Final = (35, 60, 90, 55, 100, 70, 40, 80, 50, 30)


def page(found: MessagePreview) -> str:
    """The message as a person looks at it before saying yes to its words."""
    title = f"{escape(found.message)}: {len(found.languages)} languages"
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    parts = [
        f'<!doctype html><html lang="en"><head>{meta}<title>{title}</title><style>{_STYLE}</style></head><body>',
        *_head(found),
        "<main>",
        *(_section(found, channel) for channel in found.channels),
        "</main>",
        "<footer>Made by <code>tideover message preview</code>. Looking at it sends nothing.</footer></body></html>\n",
    ]
    return "\n".join(parts)


def _head(found: MessagePreview) -> Iterator[str]:
    whose = (
        "The amount, the date and the lender's name are one borrower's own: this page is personal, keep it to yourself and delete it."
        if found.personal
        else "Every amount, date, name and link is made up."
    )
    yield "<header>"
    yield f"<h1>{escape(found.message.replace('_', ' ').capitalize())}</h1>"
    purpose = escape(found.purpose.replace("_", " "))
    yield f'<p class="quiet">Purpose: {purpose}. {whose} What was filled in is <mark>marked like this</mark>.</p>'
    yield '</header><nav aria-label="Channels"><ul>'
    yield from (f'<li><a href="#{channel}">{escape(_named(channel)[0])}</a></li>' for channel in found.channels)
    yield "</ul></nav>"


def _section(found: MessagePreview, channel: str) -> str:
    name, note = _named(channel)
    figures = "".join(_figure(language, one) for language in found.languages for one in language.shown if one.channel == channel)
    return (
        f'<section id="{channel}" aria-labelledby="{channel}-name"><h2 id="{channel}-name">{escape(name)}</h2>'
        f'<p class="quiet">{escape(note)}</p><div class="phones">{figures}</div></section>'
    )


def _named(channel: str) -> tuple[str, str]:
    return CHANNELS.get(channel, (channel.replace("_", " ").capitalize(), ""))


def _figure(language: Language, one: Shown) -> str:
    draw = _PICTURES.get(one.channel, _talk)
    picture = draw(_words(one.title, one), _words(one.body, one), one.sender)
    framed = picture if one.channel == "letter" else f'<div class="phone {one.channel}"><div class="screen">{picture}</div></div>'
    return f'<figure><div lang="{escape(language.locale)}" dir="auto">{framed}</div>{_caption(language, one)}</figure>'


def _caption(language: Language, one: Shown) -> str:
    name = language.own_name if language.own_name == language.english_name else f"{language.own_name} · {language.english_name}"
    own = '<span class="chip hers">what this borrower would read</span> ' if language.hers else ""
    size = f"{_counted(one.size.segments, 'segment')} · {one.size.encoding} · {one.size.units} units · " if one.size else ""
    told = (
        f'<span class="chip lacks">cannot be written: {escape(one.lacks)}</span>'
        if one.lacks
        else f"{size}cost {escape(one.cost or 'unknown')}"
    )
    return (
        f"<figcaption>{own}<strong>{escape(name)}</strong> <code>{escape(language.locale)}</code><br>{told}<br>"
        f'<span class="chip {language.status}">{escape(STATUS[language.status])}</span></figcaption>'
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _words(words: str, one: Shown) -> str:
    """The words with what was filled in marked; a text that cannot be written shows its gaps."""
    values = re.compile("|".join(re.escape(value) for value in one.filled if value) or r"(?!)")
    pieces, end = [], 0
    for found in (values if one.lacks is None else re.compile(r"\{[a-z_]+\}")).finditer(words):
        pieces += [escape(words[end : found.start()]), f"<mark>{escape(found[0])}</mark>"]
        end = found.end()
    return "".join([*pieces, escape(words[end:])])


def _bar() -> str:
    return '<div class="bar" aria-hidden="true"><span>9:41</span><i></i><span>5G</span></div>'


def _who(sender: str) -> str:
    return f'<div class="who"><b aria-hidden="true">{escape(sender[:1].upper())}</b><span>{escape(sender)}</span></div>'


def _talk(title: str, body: str, sender: str) -> str:
    heading = f"<strong>{title}</strong><br>" if title else ""
    return f'{_bar()}{_who(sender)}<div class="talk"><div class="bubble">{heading}{body}</div></div>'


def _lock(title: str, body: str, _: str) -> str:
    card = f'<div class="card"><strong>{title}</strong>{body}</div>'
    return f'<div class="lock">{_bar()}<div class="clock" aria-hidden="true">9:41</div>{card}</div>'


def _app(title: str, body: str, sender: str) -> str:
    return f'{_bar()}{_who(sender)}<div class="app"><div class="card"><strong>{title}</strong>{body}</div></div>'


def _call(_: str, body: str, __: str) -> str:
    wave = "".join(f'<i style="height:{height}%"></i>' for height in _WAVE)
    return f'<div class="call">{_bar()}<div class="wave" aria-hidden="true">{wave}</div><blockquote>{body}</blockquote></div>'


def _mail(title: str, body: str, _: str) -> str:
    return f'{_bar()}<div class="subject">{title}</div><div class="mail">{body}</div>'


def _paper(title: str, body: str, _: str) -> str:
    return f'<div class="paper"><strong>{title}</strong>{body}</div>'


_PICTURES: Final[Mapping[str, Callable[[str, str, str], str]]] = {
    "push": _lock,
    "in_app": _app,
    "voice": _call,
    "voicemail": _call,
    "call": _call,
    "email": _mail,
    "letter": _paper,
}
