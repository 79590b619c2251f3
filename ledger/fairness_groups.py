"""Which groups people belong to, for measuring whether groups are treated alike; who decides anything about anybody may not read it.

In:   a connection.
Out:  `GROUPS`: each person's attributes as they are known now.
Pure: no; reads.
Source: SCIENCE.md C3; docs/adr/0094.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from decisions.facts import Schema
from decisions.fairness_words import LANGUAGE, REGION
from ledger.frames import Ids, Source, ids_clause, read

# One row a person and attribute; of whom an attribute is not known there is none.
GROUPS: Final[Schema] = {"party_id": pl.Int64, "attribute": pl.String, "value": pl.String}


def read_groups(source: Source, parties: Ids) -> pl.DataFrame:
    """The groups of these people: what was brought for this purpose, and the language and region that are known anyway.

    Args:
        source: Either kind of connection.
        parties: Whose.
    """
    return read(source, _GROUPS.format(who=ids_clause(parties)), GROUPS)


_GROUPS: Final = f"""
    SELECT f.party_id, f.attribute, f.value FROM fairness_attribute f WHERE f.superseded_at IS NULL AND f.party_id {{who}}
    UNION ALL SELECT v.party_id, '{LANGUAGE}', v.locale FROM party_version v
    WHERE v.superseded_at IS NULL AND v.locale IS NOT NULL AND v.party_id {{who}}
    UNION ALL SELECT v.party_id, '{REGION}', v.region FROM party_version v
    WHERE v.superseded_at IS NULL AND v.region IS NOT NULL AND v.party_id {{who}}
    ORDER BY 1, 2
"""  # noqa: S608  # our own words
