"""The table that rules look at: one row a candidate, and everything about it that is the same for many, once.

Most of what decides whether a rule applies repeats: a portfolio has a few dozen combinations of jurisdiction, role, channel,
purpose and party (profiles), and a handful of sets of zones (places). They are numbered here, so that rules work on
numbers and a profile is looked at once, not a million times.

In:   facts and candidates (decisions/facts.py).
Out:  a `Table`.
Pure: values; the joined frames are made when the first rule asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from decisions.facts import BESIDE, Facts
from decisions.packs import Packs
from decisions.rule_forms import AppliesTo, OfLoans
from decisions.rules.constraints import AgreedHours, Flags, Instants, Moment, Numbers, Place, distinct
from decisions.rules.timetable import DAY_US, NEVER_US, REACH_DAYS
from decisions.words import CHANNELS, DIRECTIONS, PARTIES, PURPOSES, RESULTS, ROLES, WEEKDAYS, WHERE

CHANNEL_TYPE: Final = pl.Enum(CHANNELS)
PURPOSE_TYPE: Final = pl.Enum(PURPOSES)
PARTY_TYPE: Final = pl.Enum(PARTIES)
ROLE_TYPE: Final = pl.Enum(ROLES)
WHERE_TYPE: Final = pl.Enum(WHERE)
# Columns of the history that rules tell apart by words.
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "channel": CHANNELS,
    "direction": DIRECTIONS,
    "result": RESULTS,
    "purpose": PURPOSES,
    "location": WHERE,
}
UNKNOWN: Final = 15  # in the 4 bits of a creditor's role
NOWHERE: Final = 3  # in the 2 bits of a place
ALWAYS_US: Final = 0
# What tells where a borrower is, and whose law attaches.
_WHERE: Final = ["known_zone", "zones", "home_zones", "country", "jurisdictions"]
# What is not about the debt itself, or is what a law wants said before it.
_NOTICES: Final = ("legal_notice", "consent_request", "one_time_code", "confirmation", "receipt")
_REACHED_NOBODY: Final = (
    "no_answer",
    "busy",
    "not_in_service",
    "dropped",
    "undelivered",
    "failed",
    "wrong_number",
    "limited_content_voicemail",
)
# Where a contact point reaches the person; a mobile phone or an inbox does so anywhere.
_LOCATION: Final = (
    pl.when(pl.col("employer_owned")).then(pl.lit("work")).when(pl.col("kind").is_in(["landline", "address"])).then(pl.lit("home"))
)


@dataclass(frozen=True, slots=True)
class Profile:
    """What decides whether a rule applies to a candidate."""

    channel: str
    purpose: str
    party: str
    automated: bool | None
    place: str | None
    role: str | None
    jurisdictions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Log:
    """Past contacts as numbers, one place each in the order of `Table.history`: looking through all of them costs little.

    Attributes:
        party: The borrower's id.
        borrower: Place of the person among the borrowers; one past the last for whoever is not among them.
        who: Number of the party that was reached.
        at: Microseconds since 1970.
        place: Number among `Table.zone_places`.
        codes: Column → number of its word; the last number stands for what is not known.
    """

    party: Instants
    borrower: Instants
    who: Instants
    at: Instants
    place: Instants
    codes: Mapping[str, npt.NDArray[np.uint8]]

    def is_one(self, column: str, words: Sequence[str], *, unknown: bool) -> Flags:
        """Which contacts have one of the words in a column; `unknown`: whether what is not known does."""
        known = _WORDS[column]
        wanted = np.zeros(len(known) + 1, dtype=np.bool_)
        wanted[[known.index(word) for word in words]] = True
        wanted[-1] = unknown
        return wanted[self.codes[column]]


@dataclass(frozen=True)
class Table:
    """Candidates, numbered from 0 in the order they came in.

    Attributes:
        facts: What is known.
        packs: In force.
        rows: `row`, `party_id`, `contact_point_id`, `channel`, `purpose` (texts), `who` (number of the party's role), `loans`,
            `location` (home, work, other or null), `text`, `first`, `form` (of what would be said; null = not known), and of the
            contact point `kind`, `owner`, `employer_owned`, `status`, `ownership`.
        profile: Number of each row's profile.
        moment: The instant and place of each row.
        borrowers: One row a borrower, with `zones_number`, which numbers `zone_places` (places without agreed hours).
    """

    facts: Facts
    packs: Packs
    rows: pl.DataFrame
    profile: Numbers
    profiles: list[Profile]
    moment: Moment
    borrowers: pl.DataFrame
    zone_places: list[Place]

    def of_profiles(self, looked: Sequence[bool]) -> Flags:
        """For each row what is true of its profile; a shard has few profiles, and few patterns of them."""
        pattern = tuple(looked)
        if pattern not in self._patterns:
            self._patterns[pattern] = np.array(pattern, dtype=np.bool_)[self.profile]
        return self._patterns[pattern]

    @cached_property
    def known(self) -> frozenset[str]:
        """Jurisdictions that have a pack."""
        return self.packs.jurisdictions

    @cached_property
    def _patterns(self) -> dict[tuple[bool, ...], Flags]:
        return {}

    @cached_property
    def borrower_places(self) -> Instants:
        """Place of each row's borrower; one past the last for whoever is not among them."""
        return self.rows["borrower"].fill_null(len(self.borrowers)).cast(pl.Int64).to_numpy()

    def all_rows(self, *, value: bool) -> Flags:
        """The same for each row."""
        return np.full(len(self.rows), value, dtype=np.bool_)

    def with_rows(self, rows: pl.Series) -> Flags:
        """Which rows are among these numbers."""
        found = self.all_rows(value=False)
        found[rows.to_numpy()] = True
        return found

    @property
    def zoneless(self) -> Flags:
        """Rows whose borrower may be anywhere."""
        return np.array([not place.zones for place in self.moment.places], dtype=np.bool_)[self.moment.place]

    def of_borrower(self, column: str) -> pl.Series:
        """A column of `borrowers` for each row; null where the borrower is not among the facts."""
        return self.borrowers[column].gather(self.rows["borrower"])

    def any_fact(self, facts: Sequence[str]) -> Flags:
        """Rows whose borrower has one of `facts`."""
        if not self._has_facts:
            return self.all_rows(value=False)
        known = self.borrowers.select(pl.col("facts").list.eval(pl.element().is_in(facts)).list.any().fill_null(False))["facts"]
        return np.append(known.to_numpy(), [False])[self.borrower_places]

    @cached_property
    def _has_facts(self) -> bool:
        return bool(self.borrowers["facts"].list.len().sum())

    def concerns(self, rule: AppliesTo) -> Flags | None:
        """Rows whose person, contact point and loans are those that a rule is about; None = all of them."""
        found = None if rule.facts is None else self.any_fact(rule.facts)
        if rule.contact_points is not None:
            kinds = self.rows["kind"].is_in(rule.contact_points).fill_null(value=True).to_numpy()
            found = kinds if found is None else found & kinds
        if rule.loans is None:
            return found
        if rule.loans not in self._concerned:
            self._concerned[rule.loans] = self._about_loans(rule.loans)
        about = self._concerned[rule.loans]
        return about if found is None else found & about

    @cached_property
    def _concerned(self) -> dict[OfLoans, Flags]:
        return {}

    def _about_loans(self, which: OfLoans) -> Flags:
        """Rows of which a loan is (or may be) one of `which`; a row that names none stands for all of the person's."""
        unknown = not which.known_only
        fits = pl.lit(True)
        if which.products is not None:
            fits &= pl.col("product").is_in(which.products).fill_null(unknown)
        if which.except_products:
            fits &= pl.col("product").is_in(which.except_products).not_().fill_null(unknown)
        if which.past_due_over_days is not None:
            fits &= (pl.col("days_past_due") > which.past_due_over_days).fill_null(unknown)
        for name in ("charged_off", "time_barred"):
            wanted = getattr(which, name)
            if wanted is not None:
                fits &= (pl.col(name) == wanted).fill_null(unknown)
        loans = self.facts.loans.select("party_id", "loan_id", fits=fits)
        named = self.rows.select("row", "party_id", loan_id="loans").explode("loan_id", empty_as_null=False)
        by_name = named.join(loans, on=["party_id", "loan_id"], how="left").filter(pl.col("fits").fill_null(unknown))["row"]
        unnamed = self.rows.filter(pl.col("loans").list.len().fill_null(0) == 0).select("row", "party_id")
        by_party = unnamed.join(loans.group_by("party_id").agg(pl.col("fits").any()), on="party_id", how="left")
        return self.with_rows(by_name) | self.with_rows(by_party.filter(pl.col("fits").fill_null(unknown))["row"])

    @cached_property
    def loans(self) -> pl.DataFrame:
        """`party_id`, `loan_id`, `debt` (loans that share an account are one), `due_minor` (undisputed), `disputed`."""
        debt = pl.col("loan_id").min().over("party_id", "account") if self.has_accounts else pl.col("loan_id")
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
        if not self.has_accounts:
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
        """Past contacts, numbered by `event`, with `who`, `at` in microseconds, `place` (a number) and `location` (home, work).

        A contact that does not say whom it reached, or in a way we do not know, was with the borrower.
        """
        points = self.facts.contact_points.select("party_id", "contact_point_id", location=_LOCATION).unique(
            ["party_id", "contact_point_id"], keep="any"
        )
        return (
            self.facts.history.with_row_index("event")
            .join(self.borrowers.select("party_id", place="zones_number"), on="party_id", how="left")
            .join(points, on=["party_id", "contact_point_id"], how="left")
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
                location=pl.col("location"),
            )
        )

    @cached_property
    def log(self) -> Log:
        """The history as numbers."""
        numbers = self.borrowers.select("party_id", "borrower")
        people = self.history.select("party_id").join(numbers, on="party_id", how="left", maintain_order="left")["borrower"]
        return Log(
            party=self.history["party_id"].to_numpy(),
            borrower=people.fill_null(len(self.borrowers)).cast(pl.Int64).to_numpy(),
            who=self.history["who"].to_numpy(),
            at=self.history["at"].fill_null(0).to_numpy(),
            place=self.history["place"].fill_null(0).to_numpy(),
            codes={column: _codes(self.history[column], words) for column, words in _WORDS.items()},
        )

    @cached_property
    def has_accounts(self) -> bool:
        """Whether any loan shares an account with others."""
        return bool(self.facts.loans["account"].is_not_null().any())

    @cached_property
    def first_attempt(self) -> Flags:
        """Rows before which nobody has tried to reach the person about one of their debts."""
        return self._first(self.history.filter(pl.col("purpose").is_in(_NOTICES).fill_null(False).not_()))

    @cached_property
    def first_communication(self) -> Flags:
        """Rows before which no word about one of their debts has reached anybody."""
        reached = pl.col("result").is_in(_REACHED_NOBODY).fill_null(False).not_()
        return self._first(self.history.filter(reached & pl.col("purpose").is_in(_NOTICES).fill_null(False).not_()))

    def _first(self, history: pl.DataFrame) -> Flags:
        """Rows without an outbound contact among `history` that was about their loans, or may have been; or that say so."""
        outbound = history.filter(pl.col("direction") == "outbound")
        said = outbound.select("party_id", of_loan="loans").explode("of_loan", empty_as_null=True).unique()
        loans = self.rows.select("row", "party_id", loan_id="loans").explode("loan_id", empty_as_null=True)
        before = loans.join(said, on="party_id").filter(
            pl.col("of_loan").is_null() | pl.col("loan_id").is_null() | (pl.col("of_loan") == pl.col("loan_id"))
        )["row"]
        told: Flags = self.rows["first"].fill_null(False).to_numpy()
        return told | ~self.with_rows(before)

    @cached_property
    def wrong_points(self) -> pl.Series:
        """Contact points that turned out to be somebody else's."""
        points = self.facts.contact_points
        found = points.filter(pl.col("ownership").is_in(["wrong", "reassigned"]))["contact_point_id"]
        by_result = self.log.is_one("result", ("wrong_number",), unknown=False)
        if by_result.any():
            found = pl.concat([self.history["contact_point_id"].filter(pl.Series(by_result)), found])
        return found if found.is_empty() else found.drop_nulls().unique()


def _codes(words: pl.Series, known: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Number of each word; what is not known has the number after the last."""
    return words.cast(pl.Enum(known), strict=False).to_physical().cast(pl.UInt8).fill_null(len(known)).to_numpy()


def from_instant(column: str) -> pl.Expr:
    """Microseconds since 1970 of a start; not known = always."""
    return pl.col(column).to_physical().fill_null(ALWAYS_US)


def until_instant(column: str) -> pl.Expr:
    """Microseconds since 1970 of an end; not known = never."""
    return pl.col(column).to_physical().fill_null(NEVER_US)


def table_of(facts: Facts, candidates: pl.DataFrame, packs: Packs) -> Table:
    """Number candidates, profiles and places.

    Raises:
        ValueError: A candidate has no instant, channel, purpose or counterparty, or a word that is not of CASES.md.
    """
    borrowers, zone_places, jurisdiction_sets = _borrowers(facts.borrowers)
    rows = _rows(facts, candidates, borrowers)
    coded = rows["profile"].to_numpy()
    codes = distinct(coded)
    profiles = [_profile(code, jurisdiction_sets) for code in codes.tolist()]
    places, place = _places(facts.agreements, rows, candidates["at"], zone_places)
    return Table(
        facts=facts,
        packs=packs,
        rows=rows,
        profile=np.searchsorted(codes, coded),
        profiles=profiles,
        moment=Moment(candidates["at"].to_physical().to_numpy(), place, places),
        borrowers=borrowers,
        zone_places=zone_places,
    )


def _number(column: str, kind: pl.Enum) -> pl.Expr:
    """Number of a word in its closed list; an unknown word is an error."""
    return pl.col(column).cast(kind).to_physical().cast(pl.Int64)


def _borrowers(borrowers: pl.DataFrame) -> tuple[pl.DataFrame, list[Place], list[frozenset[str]]]:
    """Borrowers with their places and their sets of jurisdictions numbered; number 0 is nowhere, and no jurisdiction."""
    kinds = borrowers.select(_WHERE).unique()
    places: dict[Place, int] = {Place(()): 0}
    sets: dict[frozenset[str], int] = {frozenset(): 0}
    numbers = []
    for known_zone, zones, home_zones, country, jurisdictions in kinds.iter_rows():
        # Where the person is known to be now decides alone.
        own = (known_zone,) if known_zone is not None else None
        place = Place(own or tuple(sorted(zones or ())), home=own or tuple(sorted(home_zones or ())), country=country or None)
        numbers.append((places.setdefault(place, len(places)), sets.setdefault(frozenset(jurisdictions or ()), len(sets))))
    numbered = kinds.with_columns(
        zones_number=pl.Series([place for place, _ in numbers], dtype=pl.Int64),
        jurisdictions_number=pl.Series([attached for _, attached in numbers], dtype=pl.Int64),
    )
    return (
        borrowers.join(numbered, on=_WHERE, how="left", nulls_equal=True, maintain_order="left")
        .select(
            "party_id",
            "creditor_role",
            "locale",
            "facts",
            "payments_fresh_until",
            "paused",
            "paused_channels",
            "zones_number",
            "jurisdictions_number",
        )
        .with_row_index("borrower"),
        list(places),
        list(sets),
    )


def _rows(facts: Facts, candidates: pl.DataFrame, borrowers: pl.DataFrame) -> pl.DataFrame:
    """Candidates with their borrower, their contact point, and the number of their profile."""
    required = ("at", "channel", "purpose", "counterparty")
    if any(candidates[column].null_count() for column in required):
        raise ValueError(f"a candidate lacks one of {', '.join(required)}")
    told = [
        (pl.col(name) if name in candidates.columns else pl.lit(None, kind)).alias("at_place" if name == "place" else name)
        for name, kind in BESIDE.items()
    ]
    rows = (
        candidates.select("party_id", "contact_point_id", "channel", "purpose", "counterparty", "automated", "loans", *told)
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
    location = pl.col("at_place").fill_null(_LOCATION)
    code = _number("channel", CHANNEL_TYPE)
    code = code * 32 + _number("purpose", PURPOSE_TYPE)
    code = code * 16 + _number("counterparty", PARTY_TYPE)
    code = code * 4 + pl.col("automated").cast(pl.Int64).fill_null(2)
    code = code * 4 + location.cast(WHERE_TYPE).to_physical().cast(pl.Int64).fill_null(NOWHERE)
    code = code * 16 + pl.col("creditor_role").cast(ROLE_TYPE, strict=False).to_physical().cast(pl.Int64).fill_null(UNKNOWN)
    code = code * (1 << 32) + pl.col("jurisdictions_number").fill_null(0)
    return rows.with_columns(
        location=location,
        profile=code,
        who=_number("counterparty", PARTY_TYPE),
        zones_number=pl.col("zones_number").fill_null(0),
    )


def _profile(code: int, jurisdiction_sets: list[frozenset[str]]) -> Profile:
    rest, jurisdictions = divmod(code, 1 << 32)
    rest, role = divmod(rest, 16)
    rest, place = divmod(rest, 4)
    rest, automated = divmod(rest, 4)
    rest, party = divmod(rest, 16)
    channel, purpose = divmod(rest, 32)
    return Profile(
        channel=CHANNELS[channel],
        purpose=PURPOSES[purpose],
        party=PARTIES[party],
        automated={0: False, 1: True}.get(automated),
        place=None if place == NOWHERE else WHERE[place],
        role=None if role == UNKNOWN else ROLES[role],
        jurisdictions=jurisdiction_sets[jurisdictions],
    )


def _places(agreements: pl.DataFrame, rows: pl.DataFrame, candidates_at: pl.Series, places: list[Place]) -> tuple[list[Place], Instants]:
    """The places, and further ones for the few who agreed on hours of their own."""
    agreements = agreements.filter(pl.col("kind") == "contact_hours")
    if agreements.is_empty():
        return places, rows["zones_number"].to_numpy()
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
    code = (own["zones_number"] * (len(agreed) + 1) + own["agreement"].cast(pl.Int64).fill_null(len(agreed))).to_numpy()
    codes = distinct(code)
    pairs = [divmod(one, len(agreed) + 1) for one in codes.tolist()]
    found = [replace(places[zones], agreed=agreed[which] if which < len(agreed) else None) for zones, which in pairs]
    return found, np.searchsorted(codes, code)


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
