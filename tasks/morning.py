"""The morning: what a person has to see to today, worst first, each with the command to do it; what changed, and what is planned.

In:   the ledger; the files of config/; the settings; what the Prefect server has scheduled.
Out:  a `Morning`. Counts, ids, rule ids, names of creditors and of policies; nobody's name.
Pure: no; reads. `keep` writes down how the morning stood, for the next one to compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from config.calendar_files import calendars
from config.load import ConfigError
from config.policies import other_files, policies
from config.retention import retention_policy_in_force
from config.settings import settings
from config.strategy_files import stages_of
from decisions.rules.calendars import holiday_name
from ledger import clock, overview
from ledger.campaigns import creditor_countries
from ledger.engine import connection
from ledger.overview import Due
from tasks import morning_items
from tasks.morning_items import Item
from tasks.prefect_kept import Kept, to_do
from tasks.schedule import Scheduled

HOLIDAYS_AHEAD_DAYS: Final = 7
SHORT: Final = 12
# What of the settings changes what people receive, or when; never a secret.
PLAIN_SETTINGS: Final = (
    "mode",
    "business_zone",
    "rules_last_good",
    "call_seconds_max",
    "sms_concurrency",
    "push_concurrency",
    "whatsapp_concurrency",
    "messenger_concurrency",
    "rcs_concurrency",
    "sms_per_second",
    "push_per_second",
    "whatsapp_per_second",
    "messenger_per_second",
    "rcs_per_second",
    "gateway_concurrency",
    "gateway_per_second",
    "reconcile_after_seconds",
    "park_after_seconds",
)
ADDRESSES: Final = ("public_url", "twilio_base_url", "fcm_base_url", "gateway_base_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Morning:
    """A business date's morning.

    Attributes:
        day: Local business date.
        at: Business instant.
        items: What somebody has to do or to know, worst first.
        promises: That fall due today.
        holds_ending: Kind → holds that end today.
        notices: Time limits of notices that end today.
        changed: What is different from the morning before, in words; empty = nothing; None = there is nothing to compare with.
        since: With which morning it was compared; None = with the last runs.
        portfolio: Count's name → (now, change since; None where it was not counted then).
        planned: What the Prefect server will start today; None = it was not asked.
        due: Messages due now.
        later: Messages planned for later.
        volumes: `stage`, `business_date`, `borrowers`, `sent` of each stage's last date.
        holidays: Date → where it is a holiday, and its name.
        facts: For the next morning.
    """

    day: date
    at: datetime
    items: tuple[Item, ...]
    promises: Due
    holds_ending: dict[str, int]
    notices: int
    changed: tuple[str, ...] | None
    since: date | None
    portfolio: dict[str, tuple[int, int | None]]
    planned: tuple[Scheduled, ...] | None
    due: int
    later: int
    volumes: tuple[dict[str, Any], ...]
    holidays: dict[date, str]
    facts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """One JSON object, the mode first."""
        return {
            "mode": settings().mode,
            "at": self.at.isoformat(),
            "business_date": self.day.isoformat(),
            "items": [{"urgency": item.urgency.name.lower(), "what": item.what, "do": item.do} for item in self.items],
            "promises_due": {"promises": self.promises.promises, "minor": self.promises.minor},
            "holds_ending": self.holds_ending,
            "notices_ending": self.notices,
            "since": None if self.since is None else self.since.isoformat(),
            "changed": None if self.changed is None else list(self.changed),
            "portfolio": {name: {"now": now, "change": change} for name, (now, change) in self.portfolio.items()},
            "planned": None if self.planned is None else [one.as_json() for one in self.planned],
            "due": self.due,
            "later": self.later,
            "expected": [{**row, "business_date": row["business_date"].isoformat()} for row in self.volumes],
            "holidays": {on.isoformat(): named for on, named in self.holidays.items()},
        }


def read_morning(planned: Sequence[Scheduled] | None = None, kept: Kept | None = None) -> Morning:
    """Look at everything.

    Args:
        planned: What the Prefect server has scheduled; None = nobody could ask it.
        kept: How many runs it keeps; None = likewise.
    """
    zone = ZoneInfo(settings().business_zone)
    with connection() as tx:
        at = clock.now(tx)
        day = at.astimezone(zone).date()
        begins, ends = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
        facts = _facts(tx, at)
        before = overview.morning_before(tx, day)
        former = before[1] if before else {"policies": _short(overview.policies_of_last_runs(tx))}
        items = [*morning_items.find(tx, day=day, at=at), *(to_do(kept, retention_policy_in_force().prefect) if kept else ())]
        due, later = overview.planned(tx, at=at)
        return Morning(
            day=day,
            at=at,
            items=tuple(sorted(items, key=lambda item: item.urgency)),
            promises=overview.promises_due(tx, on=day),
            holds_ending=overview.holds_ending(tx, since=begins, until=ends),
            notices=overview.notices_ending(tx, on=day),
            changed=tuple(_changed(facts, former)) if former["policies"] else None,
            since=before[0] if before else None,
            portfolio=_compared(facts["portfolio"], before[1].get("portfolio", {}) if before else {}),
            planned=None if planned is None else tuple(planned),
            due=due,
            later=sum(later.values()),
            volumes=tuple(overview.last_volumes(tx, before=day)),
            holidays=dict(_holidays(creditor_countries(tx), day)),
            facts=facts,
        )


def keep(morning: Morning) -> None:
    """Write down how the morning stood; of several looks at one date the first one stays."""
    with connection() as tx:
        overview.keep_morning(tx, morning.day, morning.facts, at=morning.at)


def end_of_day(now: datetime) -> datetime:
    """The end of an instant's local day, in the portfolio's zone."""
    local = now.astimezone(ZoneInfo(settings().business_zone))
    return datetime.combine(local.date() + timedelta(days=1), time(), local.tzinfo)


def _facts(tx: Connection, at: datetime) -> dict[str, Any]:
    return {"policies": _policies(), "settings": _settings(), "portfolio": overview.portfolio(tx, at=at)}


def _policies() -> dict[str, str]:
    """`kind/name` → the beginning of its hash, of whatever is in force for any stage; what cannot be read is an item, and left out here."""
    found: dict[str, str] = {}
    for stage in stages_of(settings().strategy):
        try:
            found |= {f"{policy.kind}/{policy.name}": policy.hash for policy in policies(stage)}
        except ConfigError:
            continue
    return _short(found | other_files())


def _short(hashes: Mapping[str, str]) -> dict[str, str]:
    return {name: hashed[:SHORT] for name, hashed in sorted(hashes.items())}


def _settings() -> dict[str, str]:
    """Settings as they may be shown: no key, no secret, no log-in within an address."""
    chosen = settings()
    keys = [part.partition(":")[0] for part in chosen.encryption_keys.get_secret_value().split(",") if part]
    return {
        **{name: str(getattr(chosen, name)) for name in PLAIN_SETTINGS},
        **{name: urlsplit(getattr(chosen, name)).hostname or "" for name in ADDRESSES},
        "encryption_keys": ", ".join(keys),
    }


def _changed(now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[str]:
    """What is in force now and was not, in words, with the command that shows it where there is one."""
    old, new = before.get("policies", {}), now["policies"]
    for name in sorted(old.keys() | new.keys()):
        if name not in old and name.startswith("file/") and not before.get("settings"):
            continue  # runs keep no hash of it: there is nothing to compare with
        if old.get(name) != new.get(name):
            yield _words(name, old.get(name), new.get(name))
    for name, value in before.get("settings", {}).items():
        current = now["settings"].get(name)
        if current != value:
            yield f"setting {name}: {value} → {current}"


def _words(name: str, old: str | None, new: str | None) -> str:
    kind, _, rest = name.partition("/")
    if old is None:
        return f"{name} is new ({new})"
    if new is None:
        return f"{name} is gone (was {old})"
    pack = rest if rest == "house" else rest.upper()
    shown = f": `tideover rules diff {pack}@{old} {pack}@current`" if kind == "rules" else ""
    return f"{name} changed, {old} → {new}{shown}"


def _compared(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, tuple[int, int | None]]:
    return {
        name: (now.get(name, 0), now.get(name, 0) - before[name] if name in before else None)
        for name in [*now, *(name for name in before if name not in now)]
    }


def _holidays(countries: Sequence[str], day: date) -> Iterator[tuple[date, str]]:
    """Today and the days ahead on which somewhere is a holiday."""
    known_better = calendars()
    for ahead in range(HOLIDAYS_AHEAD_DAYS + 1):
        on = day + timedelta(days=ahead)
        named = []
        for country in countries:
            try:
                name = holiday_name(country, on, known_better)
            except NotImplementedError:
                continue
            if name is not None:
                named.append(f"{country}: {name}")
        if named:
            yield on, ", ".join(named)
