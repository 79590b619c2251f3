"""Models that ship, for the sandbox alone: with the real providers a model comes from the ledger, by leave of two people.

In:   config/models/<kind>.json.
Out:  `decisions.models.Model`.
Pure: no; reads one file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from config.load import ConfigError
from decisions.models import Model, UnreadableModelError

MODELS: Final = Path(__file__).with_name("models")


def shipped_model(kind: str, folder: Path = MODELS) -> Model | None:
    """The model of a kind that ships; None = there is none.

    Raises:
        ConfigError: The file is no model, or one of another kind.
    """
    path = folder / f"{kind}.json"
    if not path.is_file():
        return None
    try:
        model = Model.from_json(path.read_text("utf-8"))
    except UnreadableModelError as fault:
        raise ConfigError(path, None, "", str(fault)) from None
    if model.name != kind:
        raise ConfigError(path, None, "name", f"is a model of {model.name}")
    return model
