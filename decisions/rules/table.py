"""The table that rules look at: one row a candidate, and everything about it that is the same for many, once.

Most of what decides whether a rule applies repeats: a portfolio has a few dozen combinations of jurisdiction, role, channel,
purpose and party (profiles), and a handful of sets of zones (places). They are numbered here, so that rules work on
numbers and a profile is looked at once, not a million times.

In:   facts and candidates (decisions/facts.py).
Out:  a `Table`.
Pure: values; the joined frames are made when the first rule asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Final

import polars as pl

from decisions.facts import Facts
from decisions.packs import CHANNELS, PARTIES, PURPOSES, ROLES, WEEKDAYS
from decisions.rules.constraints import AgreedHours, Moment, Place
from decisions.rules.timetable import DAY_US, NEVER_US, REACH_DAYS

CHANNEL_TYPE: Final = pl.Enum(CHANNELS)
PURPOSE_TYPE: Final = pl.Enum(PURPOSES)
PARTY_TYPE: Final = pl.Enum(PARTIES)
ROLE_TYPE: Final = pl.Enum(ROLES)
UNKNOWN: Final = 15  # in the 4 bits of a creditor's role
ALWAYS_US: Final = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """What decides whether a rule applies to a candidate."""

    channel: str
    purpose: str
    party: str
    automated: bool | None
    role: str | None
    jurisdictions: frozenset[str]


@dataclass(frozen=True)
class Table:
    """Candidates, numbered from 0 in the order they came in.

    Attributes:
        rows: `row`, `party_id`, `contact_point_id`, `channel`, `purpose` (texts), `who` (number of the party's role), `loans`,
            `location` (home, work or null), and of the contact point `kind`, `owner`, `employer_owned`, `status`, `ownership`.
        profile: Number of each row's profile.
        moment: The instant and place of each row.
        borrowers: One row a borrower, with `zones_number`, which numbers `zone_places` (places without agreed hours).
    """

    facts: Facts
    rows: pl.DataFrame
    profile: pl.Series
    profiles: list[Profile]
    moment: Moment
    borrowers: pl.DataFrame
    zone_places: list[Place]

    @property
    def zoneless(self) -> pl.Series:
        """Rows whose borrower may be anywhere."""
        without = [number for number, place in enumerate(self.moment.places) if not place.zones]
        return self.moment.place.is_in(without) if without else pl.repeat(False, len(self.rows), dtype=pl.Boolean, eager=True)

    def of_borrower(self, column: str) -> pl.Series:
        """A column of `borrowers` for each row; null where the borrower is not among the facts."""
        return self.borrowers[column].gather(self.rows["borrower"])

    @cached_property
    def loans(self) -> pl.DataFrame:
        """`party_id`, `loan_id`, `debt` (loans that share an account are one), `due_minor` (undisputed), `disputed`."""
        debt = pl.col("loan_id").min().over("party_id", "account") if self.facts.loans["account"].is_not_null().any() else pl.col("loan_id")
        return self.facts.loans.select(
            "party_id",
            "loan_id",
            debt=pl.when(pl.col("account").is_null()).then("loan_id").otherwise(debt),
            due_minor=pl.col("past_due_minor") - pl.col("disputed_minor").fill_null(0),
            disputed=(pl.col("disputed_minor") > 0).fill_null(False),
        ).unique(["party_id", "loan_id"], keep="any")

    @cached_property
    def row_loans(self) -> pl.DataFrame:
        """`row`, `party_id`, `loan_id`, and of the loan `debt` (its own id if unknown), `due_minor`, `disputed`, `known`."""
        named = self.rows.select("row", "party_id", loan_id="loans").explode("loan_id", empty_as_null=False)
        return named.join(self.loans.with_columns(known=pl.lit(True)), on=["party_id", "loan_id"], how="left").with_columns(
            pl.col("debt").fill_null(pl.col("loan_id")), pl.col("known").fill_null(False)
        )

    @cached_property
    def holds(self) -> pl.DataFrame:
        """`row`, `kind`, `since`, `until`: every hold that covers a row's channel, purpose and loans, whenever it is on.

        A hold on one loan covers the contact about several that names it, about the other loans of the same account, and
        the contact that names none.
        """
        holds = self.facts.holds
        if holds.is_empty():
            return pl.DataFrame(schema={"row": self.rows["row"].dtype, "kind": pl.String, "since": pl.Int64, "until": pl.Int64})
        found = self.rows.select("row", "party_id", "channel", "purpose", "loans").join(
            holds.rename({"channel": "on_channel", "purpose": "on_purpose"}), on="party_id"
        )
        found = found.filter(
            (pl.col("on_channel").is_null() | pl.col("on_channel").is_in(["all", ""]) | (pl.col("on_channel") == pl.col("channel")))
            & (pl.col("on_purpose").is_null() | (pl.col("on_purpose") == pl.col("purpose")))
        )
        return found.filter(self._about(found)).select("row", "kind", since=from_instant("starts_at"), until=until_instant("until"))

    def _about(self, found: pl.DataFrame) -> pl.Series:
        """Which of (`loans`, `loan_id`) speak of the same debt; no loan means every loan."""
        same = found.select(
            (
                pl.col("loan_id").is_null()
                | (pl.col("loans").list.len().fill_null(0) == 0)
                | pl.col("loans").list.contains(pl.col("loan_id")).fill_null(False)
            ).alias("same")
        )["same"]
        if not self.facts.loans["account"].is_not_null().any():
            return same
        debts = self.row_loans.group_by("row").agg(pl.col("debt"))
        mates = (
            found.select("row", "party_id", "loan_id")
            .join(debts, on="row", how="left")
            .join(self.loans.select("party_id", "loan_id", held="debt"), on=["party_id", "loan_id"], how="left", maintain_order="left")
        )
        return same | mates.select(pl.col("debt").list.contains(pl.col("held")).fill_null(False))["debt"]

    @cached_property
    def opt_outs(self) -> pl.DataFrame:
        """`row`, `since`, `until`: every opt-out that covers a row's channel and contact point."""
        return (
            self.rows.select("row", "party_id", "channel", "contact_point_id")
            .join(self.facts.opt_outs.rename({"channel": "of_channel", "contact_point_id": "of_point"}), on="party_id")
            .filter(
                pl.col("of_channel").is_in(["all"]).or_(pl.col("of_channel") == pl.col("channel"))
                & (pl.col("of_point").is_null() | (pl.col("of_point") == pl.col("contact_point_id")))
            )
            .select("row", since=from_instant("at"), until=until_instant("until"))
        )

    @cached_property
    def consents(self) -> pl.DataFrame:
        """`row`, `party_id`, `given_to`, `since`, `until`: every consent to a row's channel, whenever it is in force."""
        given = self.facts.consents
        rows = self.rows.select("row", "party_id", "channel")
        found = rows.join(given, on=["party_id", "channel"])
        if (given["channel"] == "all").any():
            found = pl.concat(
                [found, rows.join(given.filter(pl.col("channel") == "all").drop("channel"), on="party_id").select(found.columns)]
            )
        return found.select("row", "party_id", "given_to", since=from_instant("at"), until=until_instant("until"))

    @cached_property
    def wishes(self) -> pl.DataFrame:
        """`row`, the wish's `kind`, `days`, `opens`, `closes`, `place`, `location`, `since`, `until`: wishes about a row's channel."""
        return (
            self.rows.select("row", "party_id", "channel", "location")
            .join(self.facts.wishes, on="party_id")
            .filter((pl.col("channels").list.len().fill_null(0) == 0) | pl.col("channels").list.contains(pl.col("channel")))
            .with_columns(since=from_instant("starts_at"), until=until_instant("until"))
        )

    @cached_property
    def history(self) -> pl.DataFrame:
        """Past contacts, numbered by `event`, with `who`, `at` in microseconds and `place`.

        A contact that does not say whom it reached, or in a way we do not know, was with the borrower.
        """
        return (
            self.facts.history.with_row_index("event")
            .join(self.borrowers.select("party_id", place="zones_number"), on="party_id", how="left")
            .select(
                "event",
                "party_id",
                "channel",
                "direction",
                "purpose",
                "result",
                "loans",
                "contact_point_id",
                who=pl.col("counterparty").cast(PARTY_TYPE, strict=False).to_physical().cast(pl.Int64).fill_null(0),
                at=pl.col("at").to_physical(),
                place=pl.col("place"),
            )
        )

    @cached_property
    def wrong_points(self) -> pl.Series:
        """Contact points that turned out to be somebody else's."""
        by_result = self.history.filter(pl.col("result") == "wrong_number")["contact_point_id"]
        points = self.facts.contact_points
        by_ownership = points.filter(pl.col("ownership").is_in(["wrong", "reassigned"]))["contact_point_id"]
        return pl.concat([by_result, by_ownership]).drop_nulls().unique()


def from_instant(column: str) -> pl.Expr:
    """Microseconds since 1970 of a start; not known = always."""
    return pl.col(column).to_physical().fill_null(ALWAYS_US)


def until_instant(column: str) -> pl.Expr:
    """Microseconds since 1970 of an end; not known = never."""
    return pl.col(column).to_physical().fill_null(NEVER_US)


def table_of(facts: Facts, candidates: pl.DataFrame) -> Table:
    """Number candidates, profiles and places.

    Raises:
        ValueError: A candidate has no instant, channel, purpose or counterparty, or a word that is not of CASES.md.
    """
    borrowers, zone_sets, jurisdiction_sets = _borrowers(facts.borrowers)
    rows = _rows(facts, candidates, borrowers)
    codes = rows["profile"].unique().sort()
    profiles = [_profile(code, jurisdiction_sets) for code in codes.to_list()]
    places, place = _places(facts.agreements, rows, candidates["at"], zone_sets)
    return Table(
        facts=facts,
        rows=rows,
        profile=codes.search_sorted(rows["profile"]),
        profiles=profiles,
        moment=Moment(candidates["at"].to_physical(), place, places),
        borrowers=borrowers,
        zone_places=[Place(zones) for zones in zone_sets],
    )


def _number(column: str, kind: pl.Enum) -> pl.Expr:
    """Number of a word in its closed list; an unknown word is an error."""
    return pl.col(column).cast(kind).to_physical().cast(pl.Int64)


def _borrowers(borrowers: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[str, ...]], list[frozenset[str]]]:
    """Borrowers with their sets of zones and of jurisdictions numbered; number 0 is the empty set."""
    # Where the person is known to be now decides alone.
    zones = pl.when(pl.col("known_zone").is_not_null()).then(pl.concat_list("known_zone")).otherwise(pl.col("zones"))
    coded = borrowers.with_columns(
        zones_text=zones.list.sort().list.join(" ").fill_null(""),
        jurisdictions_text=pl.col("jurisdictions").list.sort().list.join(" ").fill_null(""),
    )
    sets = {}
    for name in ("zones", "jurisdictions"):
        texts = pl.concat([pl.Series([""], dtype=pl.String), coded[f"{name}_text"]]).unique().sort()
        sets[name] = [text.split() for text in texts.to_list()]
        coded = coded.with_columns(texts.search_sorted(coded[f"{name}_text"]).cast(pl.Int64).alias(f"{name}_number"))
    return (
        coded.select(
            "party_id",
            "creditor_role",
            "facts",
            "payments_fresh_until",
            "paused",
            "paused_channels",
            "zones_number",
            "jurisdictions_number",
        ).with_row_index("borrower"),
        [tuple(names) for names in sets["zones"]],
        [frozenset(names) for names in sets["jurisdictions"]],
    )


def _rows(facts: Facts, candidates: pl.DataFrame, borrowers: pl.DataFrame) -> pl.DataFrame:
    """Candidates with their borrower, their contact point, and the number of their profile."""
    required = ("at", "channel", "purpose", "counterparty")
    if any(candidates[column].null_count() for column in required):
        raise ValueError(f"a candidate lacks one of {', '.join(required)}")
    place = pl.col("place") if "place" in candidates.columns else pl.lit(None, pl.String)
    rows = (
        candidates.select("party_id", "contact_point_id", "channel", "purpose", "counterparty", "automated", "loans", at_place=place)
        .with_row_index("row")
        .join(
            borrowers.select("party_id", "borrower", "creditor_role", "jurisdictions_number", "zones_number"),
            on="party_id",
            how="left",
            maintain_order="left",
        )
        .join(
            facts.contact_points.select("party_id", "contact_point_id", "kind", "owner", "employer_owned", "status", "ownership").unique(
                ["party_id", "contact_point_id"], keep="any"
            ),
            on=["party_id", "contact_point_id"],
            how="left",
            maintain_order="left",
        )
    )
    at_home = pl.col("kind").is_in(["landline", "address"])
    derived = pl.when(pl.col("employer_owned")).then(pl.lit("work")).when(at_home).then(pl.lit("home"))
    code = _number("channel", CHANNEL_TYPE)
    code = code * 32 + _number("purpose", PURPOSE_TYPE)
    code = code * 16 + _number("counterparty", PARTY_TYPE)
    code = code * 4 + pl.col("automated").cast(pl.Int64).fill_null(2)
    code = code * 16 + pl.col("creditor_role").cast(ROLE_TYPE, strict=False).to_physical().cast(pl.Int64).fill_null(UNKNOWN)
    code = code * (1 << 32) + pl.col("jurisdictions_number").fill_null(0)
    return rows.with_columns(
        location=pl.col("at_place").fill_null(derived),
        profile=code,
        who=_number("counterparty", PARTY_TYPE),
        zones_number=pl.col("zones_number").fill_null(0),
    )


def _profile(code: int, jurisdiction_sets: list[frozenset[str]]) -> Profile:
    rest, jurisdictions = divmod(code, 1 << 32)
    rest, role = divmod(rest, 16)
    rest, automated = divmod(rest, 4)
    rest, party = divmod(rest, 16)
    channel, purpose = divmod(rest, 32)
    return Profile(
        channel=CHANNELS[channel],
        purpose=PURPOSES[purpose],
        party=PARTIES[party],
        automated={0: False, 1: True}.get(automated),
        role=None if role == UNKNOWN else ROLES[role],
        jurisdictions=jurisdiction_sets[jurisdictions],
    )


def _places(
    agreements: pl.DataFrame, rows: pl.DataFrame, candidates_at: pl.Series, zone_sets: list[tuple[str, ...]]
) -> tuple[list[Place], pl.Series]:
    """Sets of zones, and further places for the few who agreed on hours of their own."""
    places = [Place(zones) for zones in zone_sets]
    agreements = agreements.filter(pl.col("kind") == "contact_hours")
    if agreements.is_empty():
        return places, rows["zones_number"]
    # The latest agreement replaces the ones before it. Beginnings and ends far from every row's instant are all the same.
    margin = timedelta(days=REACH_DAYS + 2)
    far_back, far_ahead = _extremes(candidates_at)
    latest = (
        agreements.sort("at")
        .unique("party_id", keep="last")
        .with_columns(
            at=pl.when(pl.col("at") < far_back - margin).then(None).otherwise("at"),
            until=pl.when(pl.col("until") > far_ahead + margin).then(None).otherwise("until"),
            by_borrower=(pl.col("requested_by") == "borrower").fill_null(False),
            days_text=pl.col("days").list.join(" ").fill_null(""),
        )
    )
    alike = ["days_text", "opens", "closes", "by_borrower", "at", "until"]
    kinds = latest.unique(alike, keep="any").with_row_index("agreement")
    numbered = latest.join(kinds.select(*alike, "agreement"), on=alike, nulls_equal=True).select("party_id", "agreement")
    own = rows.select("party_id", "zones_number").join(numbered, on="party_id", how="left", maintain_order="left")
    agreed = [_agreed(one) for one in kinds.iter_rows(named=True)]
    code = own["zones_number"] * (len(agreed) + 1) + own["agreement"].cast(pl.Int64).fill_null(len(agreed))
    codes = code.unique().sort()
    pairs = [divmod(one, len(agreed) + 1) for one in codes.to_list()]
    return [Place(zone_sets[zones], agreed[which] if which < len(agreed) else None) for zones, which in pairs], codes.search_sorted(
        code
    ).cast(pl.Int64)


def _extremes(instants: pl.Series) -> tuple[datetime, datetime]:
    """The first and the last of some instants."""
    first, last = instants.min(), instants.max()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return (first if isinstance(first, datetime) else epoch, last if isinstance(last, datetime) else epoch)


def _agreed(row: dict[str, object]) -> AgreedHours:
    opens, closes = minutes_us(row["opens"]), minutes_us(row["closes"])
    days = row["days"]
    assert isinstance(days, list | None), "days is a list column"  # noqa: S101  # decisions/facts.AGREEMENTS
    return AgreedHours(
        days=days_numbers(days),
        opens_us=opens or 0,
        closes_us=closes or DAY_US,
        by_borrower=bool(row["by_borrower"]),
        since_us=instant_us(row["at"], ALWAYS_US),
        until_us=instant_us(row["until"], NEVER_US),
    )


def days_numbers(days: list[str] | None) -> tuple[int, ...]:
    """Weekdays as numbers, Monday 0; none named = every day."""
    return tuple(sorted(WEEKDAYS.index(day) for day in days)) if days else tuple(range(7))


def minutes_us(value: object) -> int | None:
    """Microseconds since midnight of a time of day."""
    if value is None:
        return None
    assert isinstance(value, time), "a time of day"  # noqa: S101  # the column's type
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def instant_us(value: object, missing: int) -> int:
    """Microseconds since 1970 of an instant."""
    if value is None:
        return missing
    assert isinstance(value, datetime), "an instant"  # noqa: S101  # the column's type
    return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
