"""Attributes of people by which it is measured whether groups are treated alike, each in a few coarse words; no decision looks at them.

In:   nothing; values only.
Out:  `ATTRIBUTES`, which imports, the ledger's table and its migration are held to.
Pure: yes.
Source: SCIENCE.md C3; docs/adr/0094. Language and region are attributes too: these are known anyway, and are not brought a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# A year of birth or a diagnosis is no word here: a band of ten years and a yes tell of groups, and little of one person.
ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "age_band": ("under_25", "25_34", "35_44", "45_54", "55_64", "65_and_over"),
    "sex": ("female", "male", "other"),
    "disability": ("yes", "no"),
}
LANGUAGE: Final = "language"
REGION: Final = "region"
