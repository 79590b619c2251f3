"""Random cases of `tideover rules check`, and what is said of them: for properties that every rule must keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import strategies as st

from config.rule_cases import RuleCase, RuleCases, cases_of
from config.rule_files import rule_packs
from decisions.packs import Packs
from decisions.rules import judge
from tests.plugins.packs import pack, rule

Row = dict[str, Any]
# Both hemispheres' changes of the clock, a half-hour zone, one that changes at midnight, and those of the packs.
ZONES = (
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Santiago",
    "America/Mexico_City",
    "Asia/Shanghai",
    "Asia/Taipei",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
)
EAST, WEST = "America/New_York", "America/Los_Angeles"
LAWS = ("US", "US-NY", "CN", "TW", "MX")
LONG_AGO = ({"channel": "all", "given_to": "creditor", "at": "2025-01-01T00:00:00Z"},)
CHANNELS = ("sms", "voice", "call", "push", "letter", "email")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# A year with all its changes of the clock.
FIRST, LAST = datetime(2026, 1, 1), datetime(2026, 12, 31)  # noqa: DTZ001  # hypothesis wants them naive

POINTS = ({"id": "M", "kind": "mobile"}, {"id": "H", "kind": "landline"}, {"id": "W", "kind": "landline", "employer_owned": True})


def _cap(rule_id: str, at_most: int, **counts: Any) -> Row:
    return rule(rule_id, "cap", counts=counts, values={"2020-01-01": {"at_most": at_most}})


def _cooldown(rule_id: str, **counts: Any) -> Row:
    return rule(rule_id, "cooldown", counts=counts)


def _valued(rule_id: str, kind: str, value: Row, **fields: Any) -> Row:
    return rule(rule_id, kind, values={"2020-01-01": value}, **fields)


# One rule for each thing that a pack can say of counting and lasting, with numbers that random cases reach.
EVERY_FORM = (
    _cap("XA-DEBT", 2, per="debt", span="P3D", except_consented="P2D"),
    _cap("XA-ACCOUNT", 3, per="account", span="PT72H"),
    _cap("XA-HOUSEHOLD", 3, per="household", span="P2D", directions=["outbound", "inbound"]),
    _cap("XA-POINT", 2, per="contact_point", span="calendar_week"),
    _cap("XA-MONTH", 4, per="person", span="calendar_month", purposes=["collection"]),
    _cap("XA-WORK", 1, per="person", span="P1M", places=["work"]),
    _cap("XA-ELSEWHERE", 3, per="debt", span="PT90M", except_places=["work"]),
    _cap("XA-ONCE", 2, per="account", span="ever", results=["conversation"], except_purposes=["reminder"]),
    _cooldown("XA-CHANNEL", per="person", span="calendar_week", other_channels_only=True),
    _cooldown("XA-CHANNEL-DEBT", per="debt", span="P1D", other_channels_only=True),
    _cooldown("XA-CHANNEL-POINT", per="contact_point", span="PT36H", other_channels_only=True),
    _valued("XA-CONSENT", "consent", {}, given_to=["collector", "creditor"], direct=True, renewed_by=["inbound"]),
    _valued("XA-FRESH", "consent", {"fresh_for": "P4D"}, given_to=["collector", "creditor"], renewed_by=["inbound", "verification"]),
    _valued("XA-NOTICE", "consent", {"opt_out_days": 4}, given_to=["collector"], or_notice="creditor_notice"),
    _valued("XA-LASTS", "hold", {"lasts": "P5D", "after": "P2D"}, holds=["illness", "dispute"]),
    _valued("XA-AFTER", "hold", {"after": "PT36H"}, holds="all", applies_to={"loans": {"past_due_over_days": 10}}),
    _valued("XA-MONTHS", "hold", {"lasts": "P1M"}, holds=["promise"], applies_to={"purposes": ["collection"]}),
    _valued("XA-SPOKEN", "wish", {"oral_lasts": "P3D"}, wishes=["not_at", "not_place", "not_channel"]),
    _valued("XA-QUIET", "wish", {"hours_per_week": 28}, wishes=["not_at"]),
)


def every_pack() -> Packs:
    """The packs in force, and a country XA whose law says everything that can be said."""
    *law, house = rule_packs().packs
    return rule_packs().model_copy(update={"packs": (*law, pack("XA", *EVERY_FORM), house)})


PACKS = every_pack()


def instants() -> st.SearchStrategy[datetime]:
    return st.datetimes(FIRST, LAST, timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0))


def _time_of_day() -> st.SearchStrategy[str]:
    return st.builds(lambda hour, minute: f"{hour:02d}:{minute:02d}", st.integers(0, 23), st.sampled_from((0, 15, 30, 59)))


def _around(at: datetime, *, days: int) -> st.SearchStrategy[datetime]:
    return st.integers(-days * 86_400, days * 86_400).map(lambda seconds: at + timedelta(seconds=seconds))


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def holds(at: datetime) -> st.SearchStrategy[list[Row]]:
    one = st.builds(
        lambda kind, loan, begins, lasts: {
            "kind": kind,
            "loan": loan,
            "from": _text(begins),
            "until": None if lasts is None else ((begins or at) + timedelta(hours=lasts)).isoformat(),
        },
        st.sampled_from(("cease", "dispute", "promise", "illness", "callback", "attorney")),
        st.sampled_from((None, "L1", "L2")),
        st.none() | _around(at, days=9),
        st.none() | st.integers(0, 240),
    )
    return st.lists(one, max_size=3)


def wishes(at: datetime) -> st.SearchStrategy[list[Row]]:
    one = st.builds(
        lambda kind, days, begins, ends, since, until, channels, form: {
            "kind": kind,
            "place": "work" if kind == "not_place" else None,
            "form": form,
            "days": days,
            "from": begins,
            "to": ends,
            "since": _text(since),
            "until": _text(until),
            "channels": channels,
        },
        st.sampled_from(("not_at", "not_at", "not_at", "not_place", "not_channel")),
        st.lists(st.sampled_from(DAYS), unique=True, max_size=6),
        _time_of_day(),
        _time_of_day(),
        st.none() | _around(at, days=5),
        st.none() | _around(at, days=9),
        st.lists(st.sampled_from(CHANNELS), unique=True, max_size=2),
        st.sampled_from((None, "oral", "written")),
    )
    return st.lists(one, max_size=3)


def history(at: datetime) -> st.SearchStrategy[list[Row]]:
    one = st.builds(
        lambda ago, channel, direction, loans, result, point, party, purpose: {
            "at": (at - timedelta(minutes=ago)).isoformat(),
            "channel": channel,
            "direction": direction,
            "loans": loans,
            "result": result,
            "contact_point": point,
            "party": party,
            "purpose": purpose,
        },
        st.integers(0, 10 * 24 * 60),
        st.sampled_from(("call", "voice", "sms", "push")),
        st.sampled_from(("outbound", "outbound", "inbound")),
        st.lists(st.sampled_from(("L1", "L2")), unique=True, max_size=2),
        st.sampled_from(("no_answer", "conversation", "delivered", "busy", "dropped", None)),
        st.sampled_from((None, "M", "H", "W")),
        st.sampled_from(("borrower", "borrower", "spouse")),
        st.sampled_from((None, "collection", "reminder")),
    )
    return st.lists(one, max_size=9)


def consents(at: datetime) -> st.SearchStrategy[list[Row]]:
    one = st.builds(
        lambda channel, given_to, since, until: {
            "channel": channel,
            "given_to": given_to,
            "at": since.isoformat(),
            "until": _text(until),
        },
        st.sampled_from(("all", *CHANNELS)),
        st.sampled_from(("collector", "creditor")),
        _around(at, days=8),
        st.none() | _around(at, days=9),
    )
    return st.just(list(LONG_AGO)) | st.lists(one, max_size=3)


def notices(at: datetime) -> st.SearchStrategy[list[Row]]:
    one = st.builds(
        lambda loan, sent, bounced, by: {
            "kind": "creditor_notice",
            "loan": loan,
            "sent_at": sent.isoformat(),
            "bounced": bounced,
            "opt_out_by": None if by is None else by.date(),
        },
        st.sampled_from((None, "L1", "L2")),
        _around(at, days=8),
        st.booleans(),
        st.none() | _around(at, days=7),
    )
    return st.lists(one, max_size=3)


def contact_points(at: datetime) -> st.SearchStrategy[list[Row]]:
    verified = st.none() | _around(at, days=9).map(lambda when: when.date())
    return verified.map(lambda day: [{**point, "verified_on": day} for point in POINTS])


def agreements() -> st.SearchStrategy[list[Row]]:
    one = st.builds(
        lambda opens, closes, days, who: {
            "kind": "contact_hours",
            "days": days,
            "opens": opens,
            "closes": closes,
            "requested_by": who,
            "at": "2026-01-01T00:00:00Z",
        },
        st.sampled_from(("06:00", "07:00", "10:00")),
        st.sampled_from(("18:00", "22:30", "24:00")),
        st.lists(st.sampled_from(DAYS), unique=True, max_size=3),
        st.sampled_from(("borrower", "creditor")),
    )
    return st.lists(one, max_size=1)


@st.composite
def rule_cases(draw: st.DrawFn, attached: Sequence[str] = ("XA", "XA", "XA", *LAWS)) -> tuple[Row, list[str]]:
    """A case as its file would have it, of one of some jurisdictions, and the zones where the person may be."""
    at = draw(instants())
    case = {
        "id": "case",
        "jurisdictions": [draw(st.sampled_from(attached))],
        "creditor_role": draw(st.sampled_from((None, "first_party", "third_party"))),
        "loans": [
            {"id": "L1", "past_due": 100, "days_past_due": 10},
            {"id": "L2", "past_due": 100, "days_past_due": 11, "account": "A"},
        ],
        "contact_points": draw(contact_points(at)),
        "consents": draw(consents(at)),
        "notices": draw(notices(at)),
        "holds": draw(holds(at)),
        "wishes": draw(wishes(at)),
        "history": draw(history(at)),
        "agreements": draw(agreements()),
        "proposed": {
            "at": at.isoformat(),
            "channel": draw(st.sampled_from(CHANNELS)),
            "contact_point": draw(st.sampled_from((None, "M", "H", "W"))),
            "loans": draw(st.sampled_from((["L1"], ["L2"], ["L1", "L2"], []))),
            "purpose": draw(st.sampled_from(("collection", "reminder", "receipt", "reply"))),
            "automated": draw(st.sampled_from((None, True, False))),
        },
    }
    return case, draw(st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True))


def frames(*cases: tuple[Row, Sequence[str]]) -> RuleCases:
    return cases_of([RuleCase.model_validate(case) for case, _ in cases], [list(zones) for _, zones in cases])


def judged(cases: RuleCases, *, at: Sequence[datetime] | None = None, packs: Packs = PACKS) -> pl.DataFrame:
    """The verdicts on some cases, or on the same at other instants."""
    if at is None:
        return judge(cases.facts, cases.candidates, packs)
    candidates = cases.candidates.with_columns(pl.Series("at", list(at), dtype=cases.candidates.schema["at"]))
    # The feed's word is good for as long as anything here is asked about.
    fresh = cases.facts.borrowers.with_columns(payments_fresh_until=pl.lit(datetime(2028, 1, 1, tzinfo=UTC)).cast(candidates.schema["at"]))
    return judge(replace(cases.facts, borrowers=fresh), candidates, packs)


def answer(
    rules: Row | Sequence[Row],
    at: str,
    *zones: str,
    proposed: Row | None = None,
    house: Row | None = None,
    **case: Any,
) -> Row:
    """What some rules alone say of one text to the borrower.

    Args:
        rules: Of the person's country.
        at: Local time of the proposed contact, where her first zone is.
        zones: Where the person may be; none = New York.
        proposed: Fields of the contact that differ.
        house: A rule of the house's.
        case: Fields of the case.
    """
    places = zones or (EAST,)
    contact = {"at": local(at, places[0]), "channel": "sms", **(proposed or {})}
    law = [rules] if isinstance(rules, dict) else rules
    packs = Packs(packs=(pack("XA", *law), pack("house", *([house] if house else []))))
    whole = {"id": "case", "jurisdictions": ["XA"], **case, "proposed": contact}
    return judged(frames((whole, places)), packs=packs).row(0, named=True)


def local(text: str, zone: str = EAST) -> str:
    """An instant of a local time, as a case writes it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).isoformat()


def instant(text: str, zone: str = EAST) -> datetime:
    """The same as UTC."""
    return datetime.fromisoformat(local(text, zone)).astimezone(UTC)
