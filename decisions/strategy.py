"""A stage's strategy: which step is taken on which day, how often at most, and how much is left to chance.

In:   values that config/load.py made of config/strategies/<strategy>/<stage>.yaml.
Out:  the types below; they hold no figure of their own.
Pure: values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from decisions.prices import Price

# Through which channels a contact point of a kind is reached; the mildest one first.
CHANNELS_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "push": ("push", "in_app"),
    "mobile": ("sms", "rcs", "voice", "call"),
    "whatsapp": ("whatsapp",),
    "messenger": ("messenger",),
    "landline": ("voice", "call"),
    "email": ("email",),
    "address": ("letter",),
}
REACHABLE: Final = tuple(dict.fromkeys(channel for channels in CHANNELS_OF_KIND.values() for channel in channels))
STAGE_ORDER: Final = ("pre_due", "early", "mid", "late", "recovery")
# A reminder of what is still to come, not a treatment of lateness: it is not an offer that a later stage could make up for.
PRE_DUE: Final = "pre_due"
# A call that a person makes: nobody sends it, and no machine starts it (gate/dial.py).
DIALLED: Final = "call"
# Ways by which somebody is spoken to, by a person or a machine; all others are read when it suits.
SPOKEN: Final = frozenset({"voice", DIALLED})
# The message of a first, mild contact with somebody whom the milder stage was not offered; no other step may use it.
ONBOARDING: Final = "onboarding"
# Who may say yes to a run, and how long it waits for them, where the strategy's file does not say.
APPROVAL_ROLES: Final = ("operations", "compliance")
APPROVAL_WAIT_HOURS: Final = 8


def milder_stage(stage: str) -> str | None:
    """The stage that must have been offered before this one's steps are taken; None for the two that ask for nothing."""
    before = STAGE_ORDER.index(stage) - 1
    return STAGE_ORDER[before] if before > STAGE_ORDER.index(PRE_DUE) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rung of the ladder.

    Attributes:
        number: Place in the ladder, from 1; part of the attempt's key.
        from_day: First delinquent day on which it may be taken.
        channels: Of CASES.md, in order of preference: where one is not allowed, has no address in use, or failed of late, the next.
        message: Folder in config/messages.
        cheapest_of: Channels that stand side by side in `channels` and are as good as each other: the cheapest one of them is taken.
        offers: What the message may offer, dearest wish first; each is an arm of its own. Empty = nothing but the text.
        after_written: Reached only after so many written messages of this stage and the milder one, about what is asked for now, arrived.
    """

    number: int
    from_day: int
    channels: tuple[str, ...]
    message: str
    offers: tuple[str, ...]
    cheapest_of: tuple[str, ...] = ()
    after_written: int = 0

    @property
    def falls_back(self) -> bool:
        """Whether it has another channel for when one fails."""
        return len(self.channels) > 1

    @property
    def is_onboarding(self) -> bool:
        """Whether it is the first, mild contact with whom the milder stage was not offered."""
        return self.message == ONBOARDING


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedFirst:
    """When the milder stage counts as offered (DOMAIN.md, "Offered"): it was delivered, or enough lawful tries failed.

    Attributes:
        stage: The milder stage.
        failed_tries_min: So many failed tries stand for a delivery, if
        span_days_min: the last was at least so many local days after the first, and
        contact_points_min: they went to at least so many contact points.
    """

    stage: str
    failed_tries_min: int
    span_days_min: int
    contact_points_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rests:
    """For how many local days somebody is left in peace; 0 = not for that reason (decisions/rests.py).

    Attributes:
        after_answer_days: After she wrote to us or we talked, that day included.
        after_payment_days: After money of hers was posted, that day included.
        before_next_step_days: Before the next step of the ladder opens: the contact is kept for it.
    """

    after_answer_days: int = 0
    after_payment_days: int = 0
    before_next_step_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What counts against a contact, in one currency; amounts are thousandths of a minor unit.

    Attributes:
        harm: What one complaint or opt-out counts as (kappa): set by a person, never learned.
        temperature: How far values may lie apart and still compete, > 0.
        costs: Channel → what a contact is taken to cost where config/prices.yaml has no price.
        unit: What one unit of the file's own currency is worth: two currencies' are weighed against each other by it.
    """

    harm: int
    temperature: int
    costs: Mapping[str, int]
    unit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Peace:
    """What a contact counts for her peace alone, whether or not she complains of it: set by a person, never learned.

    Attributes:
        written: Parts of 1,000,000 of what the median borrower of her creditor owes.
        spoken: The same of a call.
    """

    written: int
    spoken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """How often a contact is taken to bring a complaint or an opt-out, where no model has learned it.

    Attributes:
        written: Parts of 1,000,000 of written contacts.
        spoken: Parts of 1,000,000 of calls.
        free: So many contacts of the last seven days change nothing; each one more multiplies by
        growth: this.
    """

    written: int
    spoken: int
    free: int
    growth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """What may be used in a day, of each creditor's own.

    Attributes:
        name: As people read it.
        channels: Contacts through these draw on it.
        contacts: At most so many; None = no bound.
        money: At most so much, currency → thousandths of a minor unit; empty = no bound.
    """

    name: str
    channels: frozenset[str]
    contacts: int | None = None
    money: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOuts:
    """Borrowers who are treated otherwise to know what the policy is worth; drawn once, the same ones every day.

    Attributes:
        champion_parts: Parts of 1,000,000,000 of all borrowers who stay on the champion.
        champion: Its strategy of this stage.
        minimum_parts: Parts who are contacted no more than has to be.
        minimum_messages: Messages that have to be sent to them all the same.
    """

    champion_parts: int
    champion: Strategy
    minimum_parts: int
    minimum_messages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """How much a model may have a say: it weighs what rules and ladder leave open, and nothing else.

    Attributes:
        model: Kind of the model that says how likely somebody pays within some days.
        harm_model: Kind of the model that says how likely a complaint or an opt-out is; None = `harm` says so.
        weights: Currency → what counts against a contact; who owes in another currency is not contacted.
        peace: What every contact counts, whatever comes of it.
        harm: Of contacts.
        caps: Of a day.
        hold_outs: Standing ones; None = none.
        sample_max: Borrowers at most on whom prices are found.
        fill: Hundredths of a cap that are expected to be used.
    """

    model: str
    harm_model: str | None
    weights: Mapping[str, Weights]
    peace: Peace
    harm: Harm
    caps: tuple[Cap, ...]
    hold_outs: HoldOuts | None
    sample_max: int
    fill: int

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of models that are asked, the one of payments first."""
        return (self.model,) if self.harm_model is None else (self.model, self.harm_model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How a stage's borrowers are treated.

    Attributes:
        name: Folder in config/strategies, for example `static-ladder`.
        stage: Stage of DOMAIN.md.
        purpose: Purpose of every contact made (CASES.md).
        version: Hash of the file.
        first_day: First delinquent day, included.
        last_day: Last delinquent day, included.
        contacts_max: Contacts of this purpose per borrower within `span_days` local days, today included.
        span_days: Length of that span.
        gap_days_min: Local days from one contact to the next; 1 = the next day.
        steps: By number: first those of onboarding, if any, then the ladder.
        offered_first: What must have been offered before the ladder begins (I12); None = nothing.
        exploration: Share of choices made evenly among all that is allowed, no contact included: 0 to 1.
        temperature: How far scores may lie apart and still compete, in points of score; 0 = the best one wins.
        approval_above: Contacts above which a run asks for approval; None = never.
        rests_on_holidays: Whether the stage leaves everybody in peace on a public holiday of the creditor's country.
        approval_roles: Who may give it.
        approval_wait_hours: How long the run waits for it, by the wall clock.
        rests: When it leaves somebody in peace for what she did, or for the next step's sake.
        prices: By which channels are weighed that are as good as each other, or by a model; empty where nothing weighs them.
        learned: A model's say; None = the ladder alone.
        only_simulated: A straw man, which real people never meet.
    """

    name: str
    stage: str
    purpose: str
    version: str
    first_day: int
    last_day: int
    contacts_max: int
    span_days: int
    gap_days_min: int
    steps: tuple[Step, ...]
    offered_first: OfferedFirst | None
    exploration: float
    temperature: int
    approval_above: int | None
    rests_on_holidays: bool
    approval_roles: tuple[str, ...] = APPROVAL_ROLES
    approval_wait_hours: int = APPROVAL_WAIT_HOURS
    rests: Rests = Rests()
    prices: tuple[Price, ...] = ()
    learned: Learned | None = None
    only_simulated: bool = False

    def payments_since(self, business_date: date) -> date | None:
        """From which day on payments are asked for; None = not at all."""
        days = self.rests.after_payment_days
        return business_date - timedelta(days=days - 1) if days else None

    @property
    def looks_at(self) -> tuple[str, ...]:
        """Stages whose tries decide whether the milder one was offered: it and, for onboarding, this one."""
        return () if self.offered_first is None else (self.offered_first.stage, self.stage)

    @property
    def written_levels(self) -> tuple[int, ...]:
        """Numbers of written messages at which another step may be reached, ascending from 0."""
        return tuple(sorted({0, *(step.after_written for step in self.steps)}))

    def reached(self, day: int, *, offered: bool = True, written: int | None = None) -> dict[str, Step]:
        """By channel, the last step that a borrower who is `day` delinquent days late has reached; empty outside the stage.

        Args:
            day: Delinquent days; negative = days until the payment is due.
            offered: Whether the milder stage was offered; until then only onboarding's steps are reached.
            written: How many written messages arrived; None = as many as any step asks for.
        """
        if not self.first_day <= day <= self.last_day:
            return {}
        open_steps = (step for step in self.steps if step.from_day <= day and step.is_onboarding != offered)
        return {channel: step for step in open_steps if written is None or step.after_written <= written for channel in step.channels}

    @property
    def channels(self) -> frozenset[str]:
        """Channels that some step names."""
        return frozenset(channel for step in self.steps for channel in step.channels)

    @property
    def falls_back(self) -> bool:
        """Whether some step does."""
        return any(step.falls_back for step in self.steps)

    @property
    def places(self) -> dict[tuple[int, str], int]:
        """(Step's number, channel) → how far up the ladder that way stands, from 1.

        A later step stands above an earlier one, within a step the channel that is named first; with one channel a step these are the
        steps' numbers. Channels that are as good as each other stand in one place.
        """
        places: dict[tuple[int, str], int] = {}
        for step in self.steps:
            alike = [channel for channel in step.channels if channel in step.cheapest_of]
            for channel in reversed(step.channels):
                above = alike and channel in alike and channel != alike[-1]
                places[step.number, channel] = max(places.values(), default=0) + (0 if above else 1)
        return places

    @property
    def weighs_cost(self) -> bool:
        """Whether some step takes the cheapest of several channels, or a model weighs what each costs."""
        return self.learned is not None or any(step.cheapest_of for step in self.steps)
