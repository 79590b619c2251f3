"""Models in the ledger: once by the hash of their text, in live mode only by leave of two."""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest
from sqlalchemy import text

from decisions.learning import CALIBRATION, FAIRNESS, Trained
from decisions.models import Calibration, Input, Line, Model, Term, UnreadableModelError
from ledger import approvals, model_versions
from ledger.engine import connection
from ledger.model_versions import NoModelError
from tests.plugins.portfolio import SINCE, noon

NOON = noon("US")


def trained(weight: float = 0.5, *, gap: float | None = None) -> Trained:
    model = Model(
        name="paid_7d",
        inputs=(Input(name="days_past_due"),),
        parts=(Line(intercept=0.0, terms=(Term(columns=((0, 0.0, 60.0, 30.0, 15.0),), weight=weight),)),),
        calibration=Calibration(),
        typical={"days_past_due": 30.0},
    )
    table = pl.DataFrame([(1, 10, 0.15, 0.2)], schema=CALIBRATION, orient="row")
    groups = [] if gap is None else [("sex", "female", 900, 1_800, 0.2, 0.2 + gap, gap, abs(gap), 0.2, 0.7)]
    return Trained(
        model=model,
        data_hash="d" * 64,
        method="logistic",
        metrics={"auc": 0.7, "rows_measured": 10},
        calibration=table,
        fairness=pl.DataFrame(groups, schema=FAIRNESS, orient="row"),
    )


def kept(weight: float = 0.5, *, gap: float | None = None) -> str:
    one = trained(weight, gap=gap)
    with connection() as tx:
        model_versions.keep(tx, one, seed=1, as_of=SINCE)
    return one.model.version


def said_yes(version: str, *names: str, reject: bool = False, reason: str | None = None) -> None:
    for name in names:
        with connection() as tx:
            model_versions.ask_or_approve(tx, version, by=name, at=NOON, reject=reject, reason=reason)


@pytest.fixture
def live(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del ledger_url
    monkeypatch.setattr(model_versions, "settings", lambda: SimpleNamespace(is_real=True))


def test_a_model_is_kept_once_and_comes_back_as_it_was(ledger_url: str) -> None:
    del ledger_url
    one = trained()
    with connection() as tx:
        assert model_versions.keep(tx, one, seed=1, as_of=SINCE)
        assert not model_versions.keep(tx, one, seed=1, as_of=NOON)
        (found,) = model_versions.kept(tx, at=NOON)
        assert model_versions.load(tx, found.version) == one.model
        assert model_versions.find(tx, found.version[:8], at=NOON) == found
    assert (found.kind, found.metrics["auc"], found.calibration[0]["observed"], found.trained_as_of) == ("paid_7d", 0.7, 0.2, SINCE)
    assert not found.approved


def test_the_newest_is_used_in_the_sandbox(ledger_url: str) -> None:
    del ledger_url
    kept(0.5)
    newest = kept(0.6)
    with connection() as tx:
        assert model_versions.model_for(tx, "paid_7d", at=NOON).version == newest
        with pytest.raises(NoModelError, match="tideover learn train harm_7d"):
            model_versions.model_for(tx, "harm_7d", at=NOON)


@pytest.mark.usefixtures("live")
def test_live_mode_uses_what_two_people_approved_and_nothing_else() -> None:
    first, second = kept(0.5), kept(0.6)
    with connection() as tx, pytest.raises(NoModelError, match="no model of paid_7d is approved"):
        model_versions.model_for(tx, "paid_7d", at=NOON)
    said_yes(first, "Ada")
    with connection() as tx, pytest.raises(NoModelError):
        model_versions.model_for(tx, "paid_7d", at=NOON)
    with pytest.raises(approvals.ApprovalRefused, match="four eyes"):
        said_yes(first, "ada")
    said_yes(first, "Grace")
    with connection() as tx:
        assert model_versions.model_for(tx, "paid_7d", at=NOON).version == first != second
    said_yes(first, "Ada", reject=True)
    with connection() as tx, pytest.raises(NoModelError):
        model_versions.model_for(tx, "paid_7d", at=NOON)


@pytest.mark.usefixtures("live")
def test_a_model_that_errs_for_a_group_is_approved_in_words_or_not_at_all() -> None:
    fine, unfair = kept(0.5, gap=0.02), kept(0.6, gap=-0.04)
    said_yes(fine, "Ada", "Grace")
    with pytest.raises(approvals.ApprovalRefused, match=r"errs for sex female \(-4.0 points\), more than 3 points"):
        said_yes(unfair, "Ada")
    said_yes(unfair, "Ada", reason="the next one is learned from their rows too")
    with pytest.raises(approvals.ApprovalRefused, match="--reason"):
        said_yes(unfair, "Grace")
    with connection() as tx:
        assert model_versions.model_for(tx, "paid_7d", at=NOON).version == fine
    said_yes(unfair, "Grace", reason="for four weeks at most")
    with connection() as tx:
        assert model_versions.model_for(tx, "paid_7d", at=NOON).version == unfair


@pytest.mark.usefixtures("live")
def test_what_is_found_of_groups_after_the_approval_ends_it_until_somebody_says_why() -> None:
    """The same text learned again when groups have become known: it is kept once, and how it errs is kept anew."""
    version = kept(gap=None)
    said_yes(version, "Ada", "Grace")
    for gap in (0.01, 0.01, 0.05):
        assert kept(gap=gap) == version
    with connection() as tx:
        (found,) = model_versions.kept(tx, at=NOON)
        assert found.fairness[0]["gap"] == 0.05
        assert tx.execute(text("SELECT count(*) FROM model_groups")).scalar_one() == 2
        with pytest.raises(NoModelError, match=r"found to err for sex female \(\+5.0 points\) since"):
            model_versions.model_for(tx, "paid_7d", at=NOON)
    said_yes(version, "Ada", reject=True)
    said_yes(version, "Ada", "Grace", reason="known, and looked into")
    with connection() as tx:
        assert model_versions.model_for(tx, "paid_7d", at=NOON).version == version


def test_a_text_that_was_changed_is_not_used(ledger_url: str) -> None:
    del ledger_url
    version = kept()
    with connection() as tx:
        tx.execute(text("UPDATE policy_version SET body = replace(body, '0.5', '0.7') WHERE hash = :version"), {"version": version})
    with connection() as tx, pytest.raises(UnreadableModelError, match="not the one of that version"):
        model_versions.load(tx, version)


def test_too_short_and_unknown_versions_are_refused(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        for prefix, why in (("abc", "too short"), ("abcdef", "no model that begins")):
            with pytest.raises(NoModelError, match=why):
                model_versions.find(tx, prefix, at=NOON)
        with pytest.raises(NoModelError):
            model_versions.load(tx, "f" * 64)
