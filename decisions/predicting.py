"""Predicting by models: the features of some people, beside the arms that are open to them.

In:   models, features as of the instant of the decision, arms.
Out:  probabilities for decisions/policy.py.
Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

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
        paying: Says how likely somebody pays.
        harming: Says how likely a complaint or an opt-out is; None = the strategy's own figures count.
        features: decisions/features.features of the people.
    """

    paying: Model
    harming: Model | None
    features: pl.DataFrame

    @property
    def version(self) -> str:
        """Hashes of the models."""
        return self.paying.version if self.harming is None else f"{self.paying.version}+{self.harming.version}"

    def pays(self, arms: pl.DataFrame) -> Floats:
        """See decisions/policy.Predicts."""
        return self._said(self.paying, arms)

    def harms(self, arms: pl.DataFrame) -> Floats | None:
        """See decisions/policy.Predicts."""
        return None if self.harming is None else self._said(self.harming, arms)

    def _said(self, model: Model, arms: pl.DataFrame) -> Floats:
        looked_at = {one.name for one in model.inputs}
        theirs = self.features.select("party_id", *(name for name in self.features.columns if name in looked_at))
        found = [
            pl.Series(model.predict(part.join(theirs, on="party_id", how="left", maintain_order="left")), dtype=pl.Float64)
            for part in arms.select("party_id", *ARMS).iter_slices(ROWS_AT_ONCE)
        ]
        return (pl.concat(found) if found else pl.Series(dtype=pl.Float64)).to_numpy()
