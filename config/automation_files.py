"""Reads config/automations.yaml: what Prefect's server does by itself when something happens.

In:   the file.
Out:  `AutomationsForm`; local/deploy_automations.py makes Prefect's own values of it.
Pure: no; reads one file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from config.load import Strict, Whole, read

AUTOMATIONS: Final = Path(__file__).with_name("automations.yaml")
Text = Annotated[str, Field(min_length=1)]
Labels = dict[str, str | tuple[str, ...]]
# Prefect's own bound.
PROACTIVE_SECONDS_MIN: Final = 10


class TriggerForm(Strict):
    """Events that count, or that must not fail to come."""

    posture: Literal["Reactive", "Proactive"] = "Reactive"
    after: tuple[Text, ...] = ()
    expect: Annotated[tuple[Text, ...], Field(min_length=1)]
    match: Annotated[Labels, Field(min_length=1)]
    match_related: Labels = Field(default_factory=dict)
    for_each: tuple[Text, ...] = ()
    threshold: Annotated[Whole, Field(ge=1)]
    # Seconds.
    within: Annotated[Whole, Field(ge=0)]

    @model_validator(mode="after")
    def _patient(self) -> Self:
        """What waits for something that does not come waits for a while."""
        if self.posture == "Proactive" and self.within < PROACTIVE_SECONDS_MIN:
            raise ValueError(f"within: a proactive trigger waits for {PROACTIVE_SECONDS_MIN} seconds or longer")
        return self


class NotifyForm(Strict):
    """Tell operations."""

    type: Literal["notify"]
    subject: Text
    body: Text


class PauseForm(Strict):
    """Pause a deployment: the named one ("early/daily"), or, with none named, the one that the event is about."""

    type: Literal["pause-deployment"]
    deployment: Annotated[str, Field(pattern="^[a-z-]+/[a-z-]+$")] | None = None


class StateForm(Strict):
    """Say what a run's state is."""

    type: Literal["change-flow-run-state"]
    state: Literal["CRASHED", "FAILED"]
    message: Text


class AutomationForm(Strict):
    """One automation."""

    name: Annotated[str, Field(pattern="^tideover: ")]
    description: Text
    trigger: TriggerForm
    actions: Annotated[tuple[Annotated[NotifyForm | PauseForm | StateForm, Field(discriminator="type")], ...], Field(min_length=1)]


class AutomationsForm(Strict):
    """The file."""

    notify_block: Annotated[str, Field(pattern="^[a-z0-9-]+$")]
    automations: tuple[AutomationForm, ...]

    @model_validator(mode="before")
    @classmethod
    def _names_differ(cls, plain: Any) -> Any:
        """They are found again by their names."""
        names = [one.get("name") for one in plain.get("automations", []) if isinstance(one, dict)] if isinstance(plain, dict) else []
        if len(names) != len(set(map(str, names))):
            raise ValueError("automations: a name is given twice")
        return plain


def automations(path: Path = AUTOMATIONS) -> AutomationsForm:
    """Read the file.

    Raises:
        ConfigError: It is missing, or not of that form.
    """
    return read(path, AutomationsForm)
