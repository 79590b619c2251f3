"""Every table of the ledger, by import: what migrations and the test of the schema compare.

Pure: yes; importing it only declares tables.
"""

from __future__ import annotations

from typing import Final

from sqlmodel import SQLModel

from ledger import (
    tables,
    tables_ageing,
    tables_agencies,
    tables_agents,
    tables_core,
    tables_erasure,
    tables_fairness,
    tables_keys,
    tables_models,
    tables_papers,
    tables_payments,
    tables_plans,
    tables_policies,
    tables_staff,
)

__all__ = [
    "METADATA",
    "tables",
    "tables_ageing",
    "tables_agencies",
    "tables_agents",
    "tables_core",
    "tables_erasure",
    "tables_fairness",
    "tables_keys",
    "tables_models",
    "tables_papers",
    "tables_payments",
    "tables_plans",
    "tables_policies",
    "tables_staff",
]

# Of whatever was imported above.
METADATA: Final = SQLModel.metadata
