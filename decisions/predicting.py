"""Predicting by models: the features of some people, beside the arms that are open to them.

In:   models, features as of the instant of the decision, arms.
Out:  probabilities for decisions/policy.py.
Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from decisions.models import ARMS, Model
from decisions.trees import Floats

# So many arms at a time keep the matrix of a model's inputs small.
ROWS_AT_ONCE: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ByModels:
    """What models say of people.

    Attributes:
        models: Kind → model.
        features: decisions/features.features of the people.
    """

    models: Mapping[str, Model]
    features: pl.DataFrame

    def version(self, kind: str) -> str:
        """See decisions/policy.Predicts."""
        return self.models[kind].version

    def says(self, kind: str, arms: pl.DataFrame) -> Floats:
        """See decisions/policy.Predicts."""
        model = self.models[kind]
        looked_at = {one.name for one in model.inputs}
        theirs = self.features.select("party_id", *(name for name in self.features.columns if name in looked_at))
        found = [
            pl.Series(model.predict(part.join(theirs, on="party_id", how="left", maintain_order="left")), dtype=pl.Float64)
            for part in arms.select("party_id", *ARMS).iter_slices(ROWS_AT_ONCE)
        ]
        return (pl.concat(found) if found else pl.Series(dtype=pl.Float64)).to_numpy()
