"""Models in the ledger: kept once by the hash of their text, and used only by leave of two people where the providers are real.

In:   a connection inside a transaction; what was learned; a kind, or the first characters of a version.
Out:  rows of `policy_version` (the text), `model_version`, `approval`; `Kept` values; a `Model` to predict with.
Pure: no; reads and writes the ledger.
Source: docs/adr/0083; ARCHITECTURE.md, four eyes, I8, I11.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from config.learning import group_gap_max
from config.policies import Policy
from config.settings import settings
from decisions.learning import Trained, errs_for
from decisions.models import Model, UnreadableModelError
from ledger import approvals
from ledger.approvals import Approval, ApprovalRefused
from ledger.campaigns import write_policies

KIND: Final = "model"
PREFIX_CHARACTERS_MIN: Final = 6
SHOWN_CHARACTERS: Final = 12


class NoModelError(LookupError):
    """There is no such model, or none that may be used; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A model as the ledger keeps it, without its text.

    Attributes:
        version: SHA-256 of the text.
        kind: What it says the probability of.
        method: How it was fitted.
        seed: Of its training.
        data_hash: Of the rows.
        features: What it looks at.
        metrics: On people and days that it had not seen.
        calibration: Rows of decisions/learning.CALIBRATION.
        fairness: Rows of decisions/learning.FAIRNESS, as they were measured last.
        trained_as_of: Business instant.
        recorded_at: When it was written.
        approved: Whether two people have said yes, and it stands.
        last: The last step about it; None = nobody has asked.
    """

    version: str
    kind: str
    method: str
    seed: int
    data_hash: str
    features: list[str]
    metrics: dict[str, Any]
    calibration: list[dict[str, Any]]
    fairness: list[dict[str, Any]]
    trained_as_of: datetime
    recorded_at: datetime
    approved: bool
    last: Approval | None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        last = self.last
        return {
            "version": self.version,
            "kind": self.kind,
            "method": self.method,
            "seed": self.seed,
            "data_hash": self.data_hash,
            "features": self.features,
            "metrics": self.metrics,
            "calibration": self.calibration,
            "fairness": self.fairness,
            "trained_as_of": self.trained_as_of.isoformat(),
            "recorded_at": self.recorded_at.isoformat(),
            "approved": self.approved,
            "verdict": last.verdict if last else None,
            "asked_by": last.asked_by if last else None,
            "approved_by": last.approved_by if last else None,
        }

    @property
    def errs_for(self) -> list[str]:
        """Groups for which it errs by more than config/learning.yaml lets it."""
        return errs_for(self.fairness, gap_max=group_gap_max())

    @property
    def is_usable(self) -> bool:
        """With the real providers: two people have approved it, and said why where it errs for a group."""
        return self.approved and self.last is not None and (not self.errs_for or bool(self.last.reason))

    @property
    def word(self) -> str:
        """Where it stands, in words."""
        return approvals.in_words(self.last, approved=self.approved)


def keep(tx: Connection, trained: Trained, *, seed: int, as_of: datetime) -> bool:
    """Keep a model; of the same text once, however often it is learned. How it errs for groups is kept each time that it was measured anew.

    Returns:
        Whether it is new.
    """
    model = trained.model
    write_policies(tx, [Policy(KIND, model.name, model.as_json())])
    values = {
        "version": model.version,
        "kind": model.name,
        "method": trained.method,
        "seed": seed,
        "data_hash": trained.data_hash,
        "features": json.dumps([one.name for one in model.inputs]),
        "metrics": json.dumps(dict(trained.metrics)),
        "calibration": json.dumps(trained.calibration.to_dicts()),
        "fairness": json.dumps(trained.fairness.to_dicts()),
        "as_of": as_of,
    }
    is_new = tx.execute(_INSERT, values).scalar() is not None
    tx.execute(_MEASURED, {"version": model.version, "fairness": values["fairness"]})
    return is_new


def kept(tx: Connection, *, at: datetime, kind: str | None = None) -> list[Kept]:
    """All models, or those of a kind, the newest first.

    Args:
        tx: Any.
        at: Business instant: which approvals stand.
        kind: None = every.
    """
    return _kept(tx, at, kind=kind)


def find(tx: Connection, prefix: str, *, at: datetime) -> Kept:
    """The model whose version begins like that.

    Raises:
        NoModelError: None, or several; or too few characters.
    """
    if len(prefix) < PREFIX_CHARACTERS_MIN:
        raise NoModelError(f"{prefix} is too short: give at least {PREFIX_CHARACTERS_MIN} characters of the version")
    found = _kept(tx, at, prefix=prefix)
    if len(found) != 1:
        raise NoModelError(
            f"{'several models begin' if found else 'the ledger keeps no model that begins'} with {prefix}: `tideover learn list`"
        )
    return found[0]


def ask_or_approve(tx: Connection, version: str, *, by: str, at: datetime, reject: bool = False, reason: str | None = None) -> Approval:
    """As `approvals.ask_or_approve`; of a model that errs for a group both say why.

    Args:
        tx: Inside a transaction.
        version: Whole.
        by: Who.
        at: Business instant.
        reject: Refuse, or take back.
        reason: In their words.

    Raises:
        ApprovalRefused: As there; or it errs for a group, and no reason is given.
        NoModelError: There is no such model.
    """
    errs = find(tx, version, at=at).errs_for
    if errs and not reject and not (reason or "").strip():
        raise ApprovalRefused(
            f"it errs for {', '.join(errs)}, more than {100 * group_gap_max():g} points: `tideover learn show {version[:SHOWN_CHARACTERS]}`"
            "; whoever says yes to it all the same says why, with --reason"
        )
    return approvals.ask_or_approve(tx, version, by=by, at=at, reject=reject, reason=reason, kind=approvals.MODEL)


def model_for(tx: Connection, kind: str, *, at: datetime) -> Model:
    """The model by which decisions of a kind are made: the newest that may be used.

    With the real providers that is the newest that two people have approved, in words where it errs for a group; in the sandbox the newest.

    Raises:
        NoModelError: There is none, or none may be used; nothing is decided then.
        UnreadableModelError: Its text is not what its version says.
    """
    models = _kept(tx, at, kind=kind)
    if not models:
        raise NoModelError(f"there is no model of {kind}: train one with `tideover learn train {kind}`")
    usable = [one for one in models if one.is_usable or not settings().is_real]
    if not usable:
        newest = models[0].version[:SHOWN_CHARACTERS]
        if approved := next((one for one in models if one.approved), None):
            said = approved.version[:SHOWN_CHARACTERS]
            raise NoModelError(
                f"the approved model of {kind} was found to err for {', '.join(approved.errs_for)} since: take it back with `tideover learn"
                f" approve {said} --by NAME --reject`, and let two people approve it, or another one, with --reason"
            )
        raise NoModelError(f"no model of {kind} is approved: two people approve one, `tideover learn approve {newest} --by NAME`")
    return load(tx, usable[0].version)


def load(tx: Connection, version: str) -> Model:
    """A model by its whole version, as it was kept: what was decided by it is decided again by it.

    Raises:
        NoModelError: The ledger keeps none of that version.
        UnreadableModelError: The text that it keeps is another one.
    """
    body = tx.execute(_BODY, {"version": version}).scalar()
    if body is None:
        raise NoModelError(f"the ledger keeps no model {version[:SHOWN_CHARACTERS]}")
    model = Model.from_json(body)
    if model.version != version:
        raise UnreadableModelError(f"the text of model {version[:SHOWN_CHARACTERS]} is not the one of that version")
    return model


def _kept(tx: Connection, at: datetime, *, kind: str | None = None, prefix: str = "") -> list[Kept]:
    approved = approvals.approved(tx, at, kind=approvals.MODEL)
    last = {step.subject_hash: step for step in approvals.read_steps(tx, kind=approvals.MODEL)}
    rows = tx.execute(_KEPT, {"kind": kind, "prefix": prefix}).mappings()
    return [Kept(**row, approved=row["version"] in approved, last=last.get(row["version"])) for row in rows]


_INSERT = text("""
    INSERT INTO model_version (version, kind, method, seed, data_hash, features, metrics, calibration, fairness, trained_as_of)
    VALUES (:version, :kind, :method, :seed, :data_hash, CAST(:features AS jsonb), CAST(:metrics AS jsonb), CAST(:calibration AS jsonb),
            CAST(:fairness AS jsonb), :as_of)
    ON CONFLICT (version) DO NOTHING RETURNING id
""")
_MEASURED = text("""
    INSERT INTO model_groups (version, fairness)
    SELECT :version, CAST(:fairness AS jsonb)
    WHERE CAST(:fairness AS jsonb) IS DISTINCT FROM (SELECT coalesce(
        (SELECT g.fairness FROM model_groups g WHERE g.version = :version ORDER BY g.id DESC LIMIT 1),
        (SELECT m.fairness FROM model_version m WHERE m.version = :version)))
""")
_KEPT = text("""
    SELECT version, kind, method, seed, data_hash, features, metrics, calibration, trained_as_of, recorded_at,
           coalesce((SELECT g.fairness FROM model_groups g WHERE g.version = m.version ORDER BY g.id DESC LIMIT 1), m.fairness) AS fairness
    FROM model_version m WHERE (CAST(:kind AS text) IS NULL OR kind = :kind) AND starts_with(version, :prefix) ORDER BY id DESC
""")
_BODY = text("SELECT body FROM policy_version WHERE hash = :version AND kind = 'model'")
