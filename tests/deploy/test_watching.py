"""Alerts and the page speak of figures that there are, and of all of them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from portal import metrics

HOUSE = Path(__file__).resolve().parents[2]
ALERTS = HOUSE / "deploy" / "prometheus-alerts.yaml"
PAGE = (HOUSE / "docs" / "deploy.md").read_text()
LEDGER = {gauge.name for gauge in metrics.GAUGES} | {metrics.READABLE, metrics.MISSING}
PROCESS = {"tideover_webhooks_total", "tideover_webhooks_refused_total", "tideover_inbox_group_seconds", "tideover_inbox_kept_total"} | {
    "tideover_sign_ins_refused_total",
    "tideover_held_back_total",
}
LABELS = {gauge.name: set(gauge.labels) for gauge in metrics.GAUGES}


def rules() -> list[dict[str, str]]:
    found: list[dict[str, str]] = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    return found


def test_every_alert_is_whole_and_asks_for_figures_that_there_are() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) >= 10
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")"), rule["alert"]
        asked = set(re.findall(r"tideover_\w+", rule["expr"]))
        assert asked, rule["alert"]
        assert asked - LEDGER - PROCESS == set(), rule["alert"]


def test_alerts_group_and_select_by_labels_that_their_figures_have() -> None:
    for rule in rules():
        for labels, figure in re.findall(r"by \(([\w, ]+)\) \((tideover_\w+)\)", rule["expr"]):
            assert {label.strip() for label in labels.split(",")} <= LABELS[figure], rule["alert"]
        for figure, label in re.findall(r"(tideover_\w+)\{(\w+)=", rule["expr"]):
            assert label in LABELS.get(figure, {"address", "code"}), rule["alert"]


def test_the_page_lists_every_figure_and_no_other() -> None:
    listed = set(re.findall(r"`(tideover_\w+)(?:\{[^}]*\})?`", PAGE))
    assert listed == LEDGER | PROCESS


def test_no_label_can_hold_a_person() -> None:
    assert set().union(*LABELS.values()) == {"scope", "stage", "channel", "state", "said_by", "reason", "kind", "what", "invariant"}
