"""What a world may be like: the town's parameters, their defaults, their ranges and where those come from.

In:   a seed and what is set by hand.
Out:  one value for each parameter.
Pure: yes. docs/town.md prints this table (a test compares them). Sources are "published" (a figure was read), "shape"
      (only the direction or size was read) or "assumed" (nobody measured it, hence the wide range).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from sandbox.chance import Chance


@dataclass(frozen=True, slots=True)
class Parameter:
    """One figure of the town. A world draws it uniformly from [low, high] unless it is set."""

    default: float
    low: float
    high: float
    basis: str
    meaning: str


class UnknownParameterError(ValueError):
    """A parameter that the town does not have, or a value that no world can have."""


PARAMETERS: dict[str, Parameter] = {
    "forgot_share": Parameter(0.30, 0.20, 0.40, "published", "weight of residents who forgot"),
    "timing_share": Parameter(0.33, 0.23, 0.43, "published", "weight of residents who wait for income"),
    "hardship_share": Parameter(0.27, 0.17, 0.37, "published", "weight of residents who cannot pay"),
    "unwilling_share": Parameter(0.10, 0.05, 0.16, "assumed", "weight of residents who dispute or do not want to pay"),
    "self_pay_forgot": Parameter(0.035, 0.021, 0.056, "assumed", "chance a day to pay unasked, forgot"),
    "self_pay_timing": Parameter(0.010, 0.006, 0.016, "assumed", "chance a day to pay unasked, waits for income"),
    "self_pay_hardship": Parameter(0.0035, 0.0021, 0.0056, "assumed", "chance a day to pay unasked, hardship"),
    "self_pay_unwilling": Parameter(0.003, 0.0018, 0.0048, "assumed", "chance a day to pay unasked, unwilling"),
    "self_pay_decay_days": Parameter(45, 30, 70, "assumed", "days after which that chance has fallen to 1/e"),
    "payday_factor": Parameter(7, 3, 10, "shape", "times more likely to pay in the 3 days after income (else half), waits for income"),
    "income_weekly_share": Parameter(0.3, 0.2, 0.4, "assumed", "weight of residents paid every 7 days"),
    "income_fortnightly_share": Parameter(0.2, 0.1, 0.3, "assumed", "weight of residents paid every 14 days"),
    "income_monthly_share": Parameter(0.5, 0.4, 0.6, "assumed", "weight of residents paid every 30 days"),
    "partial_share": Parameter(0.15, 0.05, 0.25, "assumed", "share of payments that pay a part (hardship: three times that)"),
    "sms_delivered": Parameter(0.92, 0.85, 0.97, "published", "share of texts delivered; half of the rest is dead numbers"),
    "sms_read": Parameter(0.70, 0.50, 0.90, "published", "share of delivered texts that are read"),
    "whatsapp_share": Parameter(0.60, 0.30, 0.90, "assumed", "share of people with a phone of their own whom WhatsApp reaches"),
    "rcs_share": Parameter(0.40, 0.20, 0.70, "assumed", "the same, RCS"),
    "read_receipts": Parameter(0.80, 0.50, 0.95, "assumed", "share of people who let a sender see that they read (not by text)"),
    "sms_effect_forgot": Parameter(0.08, 0.0, 0.12, "shape", "extra chance to pay the same day after reading, forgot"),
    "sms_effect_timing": Parameter(0.016, 0.0, 0.024, "shape", "the same, waits for income"),
    "sms_effect_hardship": Parameter(0.006, 0.0, 0.009, "shape", "the same, hardship"),
    "sms_effect_unwilling": Parameter(0.002, 0.0, 0.003, "shape", "the same, unwilling"),
    "push_permitted": Parameter(0.49, 0.30, 0.70, "published", "share of app installs that may show notifications"),
    "push_opened": Parameter(0.10, 0.05, 0.15, "published", "share of shown notifications that are opened"),
    "push_effect_factor": Parameter(1.0, 0.5, 1.5, "assumed", "effect of an opened notification, times that of a read text"),
    "unclear_text_factor": Parameter(0.8, 0.6, 1.0, "assumed", "effect, for each of amount and way to pay that the text does not name"),
    "hour_taste_spread": Parameter(0.4, 0.0, 0.8, "assumed", "how much the effect differs between night, morning, afternoon, evening"),
    "fatigue_factor": Parameter(0.93, 0.85, 0.98, "assumed", "effect, for each recent contact"),
    "memory_per_day": Parameter(0.87, 0.80, 0.92, "assumed", "share of recent contacts still felt a day later"),
    "reply_rate": Parameter(0.03, 0.01, 0.08, "assumed", "share of read texts that are answered"),
    "stop_rate": Parameter(0.002, 0.001, 0.005, "published", "share of read texts answered with a stop, times 1.2 per recent contact"),
    "promise_kept": Parameter(0.60, 0.40, 0.80, "assumed", "share of promises kept on their day"),
    "wrong_number_share": Parameter(0.02, 0.005, 0.04, "assumed", "share of numbers that belong to someone else"),
    "stranger_answers": Parameter(0.35, 0.15, 0.60, "assumed", "share of first texts that a stranger answers"),
    "call_answered": Parameter(0.35, 0.18, 0.60, "published", "share of calls that a person answers, by day"),
    "call_busy": Parameter(0.04, 0.01, 0.10, "assumed", "share of calls to a line that is busy"),
    "call_machine_share": Parameter(0.60, 0.30, 0.80, "assumed", "share of phones on which a machine answers when nobody does"),
    "call_confirmed": Parameter(0.60, 0.30, 0.85, "assumed", "share of answered automated calls in which the person says that it is she"),
    "landline_share": Parameter(0.005, 0.0, 0.01, "assumed", "share of numbers that are landlines"),
    "stale_token_share": Parameter(0.04, 0.01, 0.10, "assumed", "share of push tokens that are dead from the start"),
    "phone_lost_rate": Parameter(0.0005, 0.0001, 0.001, "assumed", "chance a day to lose the phone; the token dies, the number comes back"),
    "number_given_up_rate": Parameter(
        0.0003, 0.0001, 0.001, "assumed", "chance a day to give up the number; weeks later a stranger has it"
    ),
    "moved_rate": Parameter(0.0003, 0.0, 0.001, "assumed", "chance a day to move to another zone of the country"),
    "posted_late_share": Parameter(0.05, 0.0, 0.20, "assumed", "share of payments that the feed shows one or two days late"),
    "returned_share": Parameter(0.01, 0.0, 0.03, "assumed", "share of payments that come back after three days"),
    "call_effect_forgot": Parameter(0.10, 0.05, 0.15, "shape", "extra chance to pay the same day after a talk with a person, forgot"),
    "call_effect_timing": Parameter(0.03, 0.015, 0.045, "shape", "the same, waits for income"),
    "call_effect_hardship": Parameter(0.015, 0.0075, 0.0225, "shape", "the same, hardship"),
    "call_effect_unwilling": Parameter(0.012, 0.006, 0.018, "shape", "the same, unwilling"),
    "bot_effect_factor": Parameter(0.75, 0.60, 0.95, "shape", "effect of a machine's call, times that of a person's"),
    "known_sender_factor": Parameter(
        1.2, 1.0, 1.3, "published", "effect of a talk with whom they have talked before, times that of the first"
    ),
    "call_answered_named": Parameter(
        0.53, 0.40, 0.70, "published", "share of calls that a person answers, by day, when the phone names the caller"
    ),
    "call_says": Parameter(
        0.06, 0.02, 0.12, "assumed", "share of talks in which something is said that commits: a promise, a dispute, cannot pay"
    ),
    "email_opened": Parameter(0.25, 0.15, 0.40, "assumed", "share of emails that are opened"),
    "email_effect_factor": Parameter(0.8, 0.4, 1.2, "assumed", "effect of an opened email, times that of a read text"),
    "tone_warm": Parameter(1.1, 1.0, 1.2, "shape", "effect of a text with kind words, times that of a plain one"),
    "tone_consequence": Parameter(1.05, 1.0, 1.2, "shape", "effect of a text about consequences at first, times that of a plain one"),
    "tone_worn": Parameter(0.95, 0.85, 1.0, "shape", "the same after a week of them"),
    "complaint_message": Parameter(
        0.0003, 0.00009, 0.0009, "assumed", "chance to complain of a message that was read, times 1.5 per recent contact above 2"
    ),
    "complaint_call": Parameter(0.0009, 0.00027, 0.0027, "assumed", "the same, of a call, taken or not"),
    "plan_accept_forgot": Parameter(0.02, 0.01, 0.03, "assumed", "chance to agree to a plan that is seen, forgot"),
    "plan_accept_timing": Parameter(0.08, 0.04, 0.12, "assumed", "the same, waits for income"),
    "plan_accept_hardship": Parameter(0.15, 0.075, 0.225, "assumed", "the same, hardship"),
    "plan_accept_unwilling": Parameter(0.01, 0.005, 0.015, "assumed", "the same, unwilling"),
    "plan_call_factor": Parameter(1.6, 1.0, 2.4, "assumed", "that chance on the phone, times that on the page"),
    "plan_kept": Parameter(0.88, 0.80, 0.95, "assumed", "share of instalments kept that are within what is really free"),
    "plan_strain": Parameter(0.9, 0.45, 1.35, "assumed", "how fast that falls above: times exp(-strain x (ratio - 1))"),
    "spare_forgot": Parameter(0.35, 0.25, 0.45, "assumed", "share of income that is really free, forgot"),
    "spare_timing": Parameter(0.20, 0.12, 0.30, "assumed", "the same, waits for income"),
    "spare_hardship": Parameter(0.06, 0.02, 0.10, "assumed", "the same, hardship"),
    "spare_unwilling": Parameter(0.30, 0.20, 0.40, "assumed", "the same, unwilling"),
    "spare_spread": Parameter(0.5, 0.2, 0.8, "assumed", "how much that differs between people"),
    "wallet_blur": Parameter(0.3, 0.1, 0.5, "assumed", "how far off the wallet's figures of it are"),
    "empty_wallet_share": Parameter(
        0.3, 0.15, 0.5, "assumed", "last part of the income cycle with an empty wallet, waits for income and hardship"
    ),
    "borrows_elsewhere": Parameter(
        0.31, 0.10, 0.40, "published", "share of those moved to pay with an empty wallet who borrow for it elsewhere"
    ),
    "posting_delay_days": Parameter(0, 0, 0, "assumed", "days after which the feed shows any payment; set by hand only"),
    "drift_day": Parameter(30, 30, 30, "assumed", "day of a loan's stay from which what works has changed; set by hand only"),
    "drift_factor": Parameter(1, 1, 1, "assumed", "effects from that day on, times those before; set by hand only"),
    "drift_slots": Parameter(0, 0, 0, "assumed", "by how many quarters of a day tastes have moved from that day on; set by hand only"),
    "balance_median_usd": Parameter(60, 10, 200, "published", "median of what is owed, lognormal, in US dollars"),
    "income_median_usd": Parameter(1250, 900, 1800, "assumed", "median of what comes in in 30 days, lognormal, in US dollars"),
    "cost_push_usd": Parameter(0.0005, 0.00025, 0.0015, "assumed", "price of a push notification, in US dollars"),
    "cost_sms_usd": Parameter(0.02, 0.01, 0.06, "published", "price of a text message"),
    "cost_email_usd": Parameter(0.0005, 0.00025, 0.0015, "assumed", "price of an email"),
    "cost_call_try_usd": Parameter(0.12, 0.06, 0.36, "published", "price of a call that is tried"),
    "cost_talk_usd": Parameter(0.45, 0.225, 1.35, "published", "price of a talk with a colleague, beside the try"),
}


# Small by nature, and yet no share of anything.
_NO_SHARES = frozenset({"posting_delay_days", "drift_factor", "drift_slots"}) | {name for name in PARAMETERS if name.startswith("cost_")}


def default_world(settings: Mapping[str, float] | None = None) -> dict[str, float]:
    """Every parameter at its default, but for what is set.

    Raises:
        UnknownParameterError: A name or a value is not one that a world can have.
    """
    return {name: parameter.default for name, parameter in PARAMETERS.items()} | _checked(settings or {})


def drawn_world(seed: str, settings: Mapping[str, float] | None = None) -> dict[str, float]:
    """A world drawn with the seed from the ranges; what is set is not drawn.

    Raises:
        UnknownParameterError: A name or a value is not one that a world can have.
    """
    chance = Chance(seed)
    drawn = {name: chance.within(parameter.low, parameter.high, "world", name) for name, parameter in PARAMETERS.items()}
    return drawn | _checked(settings or {})


def _checked(settings: Mapping[str, float]) -> dict[str, float]:
    """What is set, as numbers. Values outside the drawn range are allowed: a test may want everyone to read."""
    for name, value in settings.items():
        if name not in PARAMETERS:
            raise UnknownParameterError(f"the town has no parameter {name!r}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise UnknownParameterError(f"{name} must be a number from 0 up")
        if PARAMETERS[name].high <= 1 and value > 1 and name not in _NO_SHARES:
            raise UnknownParameterError(f"{name} is a share: at most 1")
    return {name: float(value) for name, value in settings.items()}


def fingerprint() -> str:
    """SHA-256 of every parameter with its default and range: whoever learned in other worlds has learned something else."""
    told = "\n".join(f"{name} {one.default!r} {one.low!r} {one.high!r}" for name, one in PARAMETERS.items())
    return sha256(told.encode()).hexdigest()
