"""What is in force for a stage: every policy by which a run decides, with its whole text and the hash of it.

In:   the files that config/ reads.
Out:  `Policy` values; the ledger keeps their texts under their hashes, and a run names the hashes.
Pure: no; reads files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from config.aging import AGING_FILE
from config.calendar_files import CALENDARS
from config.cases import CASES_FILE
from config.clearances import CLEARANCES
from config.experiment_files import experiment_body
from config.lint_files import LINT
from config.message_files import message_body, message_texts
from config.prices import PRICES
from config.promises import PROMISES_FILE
from config.replies import REPLIES_FILE
from config.rule_files import pack_bodies
from config.settings import settings
from config.strategy_files import strategy, strategy_body
from decisions.experiments import Experiment

AFFORDABILITY_FILE: Final = Path(__file__).with_name("affordability.yaml")
# A strategy that treats some of a run's borrowers beside the run's own: the champion of those held out.
ARM: Final = "arm"
EXPERIMENT: Final = "experiment"
EDUCATION_FILE: Final = Path(__file__).with_name("education.yaml")


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule pack, strategy, message or order of ageing.

    Attributes:
        kind: rules, calendar, clearance, strategy, arm (a strategy that treats some of a run's borrowers), prices, model, message, ageing.
        name: Unique among the policies of a kind: "us", "static-ladder/early", "early_reminder/en".
        body: The whole text.
    """

    kind: str
    name: str
    body: str

    @property
    def hash(self) -> str:
        """SHA-256 of the body, in hexadecimal."""
        return sha256(self.body.encode()).hexdigest()


def rule_policy(jurisdiction: str, body: str) -> Policy:
    """A rule pack as a policy."""
    return Policy("rules", jurisdiction.lower(), body)


def policies(
    stage: str, rules: Mapping[str, str] | None = None, named: str | None = None, experiments: Collection[Experiment] = ()
) -> tuple[Policy, ...]:
    """Every policy in force for a stage.

    Args:
        stage: early, ….
        rules: Texts of the rule packs in force by jurisdiction; None = those of the files.
        named: The strategy; None = the one in force (`TIDEOVER_STRATEGY`).
        experiments: Those that treat some of the stage's borrowers on the day.

    Raises:
        ConfigError: A file cannot be used; nothing is decided then.
    """
    treated = strategy(named or settings().strategy, stage)
    held_out = (treated.learned.hold_outs.champion,) if treated.learned and treated.learned.hold_outs else ()
    tried = {arm.strategy: strategy(arm.strategy, stage) for one in experiments for arm in one.arms}
    # Of an arm its own hold-outs do not count, but its text names a champion.
    champions = [one.learned.hold_outs.champion for one in tried.values() if one.learned and one.learned.hold_outs]
    arms = {one.name: one for one in (*held_out, *tried.values(), *champions)}.values()
    priced = any(one.weighs_cost for one in (treated, *arms))
    return (
        Policy("ageing", "ageing", AGING_FILE.read_text("utf-8")),
        *_law(rules),
        Policy("strategy", f"{treated.name}/{stage}", strategy_body(treated.name, stage)),
        *(Policy(EXPERIMENT, one.name, experiment_body(one.name)) for one in experiments),
        *(Policy(ARM, f"{arm.name}/{stage}", strategy_body(arm.name, stage)) for arm in arms),
        *((price_policy(),) if priced else ()),
        *message_policies({step.message for one in (treated, *arms) for step in one.steps}),
    )


def price_policy() -> Policy:
    """What providers are paid, as the file says it now."""
    return Policy("prices", "prices", PRICES.read_text("utf-8"))


def service_policies(*messages: str, rules: Mapping[str, str] | None = None) -> tuple[Policy, ...]:
    """Every policy in force for messages that treat no stage.

    Args:
        messages: Folders in config/messages.
        rules: As above.

    Raises:
        ConfigError: A file cannot be used; nothing is decided then.
    """
    return (*_law(rules), *message_policies(messages))


def _law(rules: Mapping[str, str] | None) -> tuple[Policy, ...]:
    return (
        *(rule_policy(jurisdiction, body) for jurisdiction, body in (pack_bodies() if rules is None else rules).items()),
        *(Policy("calendar", path.stem, path.read_text("utf-8")) for path in sorted(CALENDARS.glob("*.yaml"))),
        Policy("clearance", "clearances", CLEARANCES.read_text("utf-8")),
    )


def message_policies(names: Collection[str]) -> tuple[Policy, ...]:
    """The files' texts of some messages, in every locale.

    Raises:
        ConfigError: A file cannot be used.
    """
    texts = message_texts().by_key.values()
    return tuple(Policy("message", f"{text.message}/{text.locale}", message_body(text)) for text in texts if text.message in names)


def other_files() -> dict[str, str]:
    """Files of operations that no run keeps as a policy, by name: hash of what they hold now."""
    lists = {f"lint/{path.stem}": path for path in sorted(LINT.glob("*.yaml"))}
    files = {
        "affordability": AFFORDABILITY_FILE,
        "cases": CASES_FILE,
        "education": EDUCATION_FILE,
        "prices": PRICES,
        "promises": PROMISES_FILE,
        "replies": REPLIES_FILE,
        **lists,
    }
    return {f"file/{name}": sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
