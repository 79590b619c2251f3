"""What a person does on her page: she says that she will pay, needs time, cannot, has paid, disputes, complains, wants a call or peace.

Each is a plain form, and does exactly what a reply with that meaning does: it goes through the inbox to ledger/replies.py, as if it had
come from where the message went. Said twice by a double click, it is heard once. What is shown afterwards is read from the ledger.

In:   her session, forms.
Out:  pages; things said to the inbox.
Pure: no.
Source: DOMAIN.md, "What the borrower's answer does"; docs/adr/0042.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.page_texts import PageWords
from config.papers import papers_policy_in_force
from decisions.money import to_minor
from ledger import clock, page_links, page_reads, page_sessions, person_files
from ledger.engine import connection
from ledger.page_links import Link
from ledger.page_reads import Heard
from ledger.page_sessions import Session
from ledger.person_files import TooManyFiles
from ledger.replies import Pressed
from portal.account import DOES, guard, inside_with_files, reading
from portal.door import said
from portal.pages import BASE, Asked, day, forget, go, last_day, local_day, named_once, page, show
from portal.receiver import Receiver
from portal.typed import UnclearError, day_of, minor_of, written
from portal.uploads import Sent, troubled

# What she does → what a reply with that meaning is read as.
MEANS: Final[Mapping[str, str]] = {
    "promise": "promise",
    "more_time": "cannot_pay",
    "cannot_pay": "cannot_pay",
    "paid": "paid",
    "dispute": "dispute",
    "not_mine": "dispute",
    "complaint": "complaint",
    "call_me": "call_me",
    "stop": "stop",
}
# Where an amount, and where her own words, may be written.
NAMES_AMOUNTS: Final = frozenset({"promise", "dispute"})
TAKES_WORDS: Final = frozenset({"dispute", "not_mine", "complaint", "cannot_pay", "more_time"})
# And where files may be sent along: a case is opened that they belong to.
TAKES_FILES: Final = TAKES_WORDS
# After which she is left in peace until a day.
GIVES_PEACE: Final = frozenset({"promise", "paid"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a form needs to know.

    Attributes:
        today: Where she is.
        currency: Of all her loans; None where they have several: then no amount is asked for.
        open_minor: What is due and not paid of them.
    """

    today: date
    currency: str | None
    open_minor: int


def form(tx: Connection, asked: Asked, session: Session) -> dict[str, Any] | None:
    """One form."""
    act = asked.request.path_params["act"]
    return _filled(asked, session, act, _setting(tx, session)) if act in DOES else None


async def do(asked: Asked, session: Session, sent: Sent) -> Response:
    """What she said takes effect."""
    act = asked.request.path_params["act"]
    if act not in DOES:
        return go("account")
    setting, address = await run_in_threadpool(_ready, session)
    try:
        pressed = meant(act, asked.fields, session.party_id, session.channel, setting, asked.words)
    except UnclearError as error:
        return _form(asked, session, act, setting, trouble=error.field)
    if address is None:
        return go("account")
    name = named_once(asked.fields)
    told = said(session.token, address, pressed, name=f"{session.id}/{act}/{name}", words=asked.fields.get("reason", ""))
    # Somebody who has her page and is not her sends nothing that would be hers.
    if act in TAKES_FILES and pressed.intent != "wrong_person":
        trouble = await run_in_threadpool(_keep, session, sent, told.provider_id)
        if trouble is not None:
            return _form(asked, session, act, setting, trouble=trouble)
    receiver: Receiver = asked.request.app.state.receiver
    await receiver.receive(told)
    if pressed.intent == "wrong_person":
        return await _not_hers(asked, session)
    return go(f"done/{act}/{name}")


def done(tx: Connection, asked: Asked, session: Session) -> dict[str, Any]:
    """What became of it, as the ledger has it."""
    act, name = asked.request.path_params["act"], asked.request.path_params["name"]
    heard = page_reads.heard(tx, session.party_id, f"{session.id}/{act}/{name.hex}")
    return {"said": became(heard, asked.words, page_reads.zone_of(tx, session.party_id))}


def meant(act: str, fields: Mapping[str, str], party_id: int, channel: str, setting: Setting, words: PageWords) -> Pressed:
    """What a form says.

    Args:
        act: One of `MEANS`.
        fields: As typed.
        party_id: Whose page it is.
        channel: By which her message came.
        setting: Today, and which money.
        words: How she writes amounts.

    Raises:
        UnclearError: A day that is none or is past, an amount that is none.
    """
    if act == "not_mine" and fields.get("which") == "other_person":
        return Pressed(intent="wrong_person", because="page: other person")
    amount = fields.get("amount", "").strip() if act in NAMES_AMOUNTS and setting.currency is not None else ""
    return Pressed(
        intent=MEANS[act],
        scope=() if act != "stop" else ("all",) if fields.get("which") == "all" else (channel,),
        on=day_of(fields.get("day", ""), first=setting.today) if act == "promise" else None,
        amount_minor=minor_of(amount, setting.currency, words) if amount and setting.currency is not None else None,
        party_id=party_id,
        because=f"page: {act.replace('_', ' ')}",
    )


def became(heard: Heard | None, words: PageWords, zone: str) -> list[str]:
    """What happens now, in sentences."""
    if heard is None:
        return [words.say("done_waits")]
    if heard.intent == "promise" and not heard.gives_peace:
        return [words.say("done_person")]
    # Said again it is a thing that a person settles.
    about = "dispute" if heard.intent == "paid" and heard.needs_person else heard.intent
    sentences = [] if about == "promise" else [words.say(f"about_{about}")]
    if heard.answer_by is not None:
        sentences.append(words.say("next_answer", date=day(heard.answer_by, words)))
    if about in GIVES_PEACE and heard.until is not None:
        sentences.append(words.say("next_until", date=day(last_day(heard.until, zone), words)))
    return sentences


def _form(asked: Asked, session: Session, act: str, setting: Setting, *, trouble: str) -> Response:
    """The form again, with what was wrong."""
    return show(asked, "act", guard=guard(asked), **_filled(asked, session, act, setting, trouble=trouble))


def _filled(asked: Asked, session: Session, act: str, setting: Setting, *, trouble: str | None = None) -> dict[str, Any]:
    return {
        "act": act,
        "about": MEANS[act],
        "once": uuid4().hex,
        "today": setting.today.isoformat(),
        "asks_amount": act in NAMES_AMOUNTS and setting.currency is not None,
        "takes_words": act in TAKES_WORDS,
        "way": session.channel,
        "trouble": trouble,
        "trouble_says": _trouble(asked, setting, trouble),
        "takes_files": act in TAKES_FILES,
        "policy": papers_policy_in_force(),
        "typed": asked.fields,
    }


def _trouble(asked: Asked, setting: Setting, trouble: str | None) -> str | None:
    """What is wrong with a form, in words."""
    if trouble == "day":
        return asked.words.say("bad_day")
    if trouble == "amount":
        return asked.words.say("bad_amount", example=_example(setting, asked.words))
    return troubled(asked, trouble)


def _example(setting: Setting, words: PageWords) -> str:
    """An amount as she writes it: what is open, or some other where nothing is."""
    if setting.currency is None:
        return ""
    minor = setting.open_minor or to_minor("100", setting.currency)
    return written(minor, setting.currency, words)


def _ready(session: Session) -> tuple[Setting, str | None]:
    """What a form that was sent is read by, and where it is said to come from."""
    with connection() as tx:
        return _setting(tx, session), _address(tx, session)


def _setting(tx: Connection, session: Session) -> Setting:
    today = local_day(clock.now(tx), page_reads.zone_of(tx, session.party_id))
    currencies, open_minor = page_reads.past_due(tx, session.party_id, on=today)
    return Setting(today=today, currency=next(iter(currencies)) if len(currencies) == 1 else None, open_minor=open_minor)


def _address(tx: Connection, session: Session) -> str | None:
    link = Link(
        token=session.token,
        business_date=session.business_date,
        attempt_id=session.attempt_id,
        party_id=session.party_id,
        contact_point_id=session.contact_point_id,
        channel=session.channel,
    )
    return page_links.address_of(tx, link)


def _keep(session: Session, sent: Sent, said_under: str) -> str | None:
    """Keep her files, before what she says is heard, so that it is not heard without its proof; what is wrong with them, or None."""
    if sent.trouble is not None or not sent.files:
        return sent.trouble
    try:
        with connection() as tx:
            at, a_day_max = clock.now(tx), papers_policy_in_force().files_a_day_max
            person_files.keep(tx, session.party_id, sent.files, at=at, a_day_max=a_day_max, said_under=said_under)
    except TooManyFiles:
        return "file_day"
    return None


async def _not_hers(asked: Asked, session: Session) -> Response:
    """Whoever is somebody else sees no more of it."""

    def end() -> None:
        with connection() as tx:
            page_sessions.end_all(tx, session.party_id)

    await run_in_threadpool(end)
    response = show(asked, "message", heading=asked.words.say("title"), body=asked.words.say("not_me_done"))
    forget(response)
    return response


routes: Final = [
    Route(f"{BASE}/do/{{act:str}}", page(reading("act", form)), methods=["GET"]),
    Route(f"{BASE}/do/{{act:str}}", page(inside_with_files(do)), methods=["POST"]),
    Route(f"{BASE}/done/{{act:str}}/{{name:uuid}}", page(reading("done", done)), methods=["GET"]),
]
