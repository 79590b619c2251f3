"""`tideover agents`: a roster taken in twice changes nothing; a list shows who works and no number."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ledger import agents
from ledger.engine import connection
from tests.plugins.portfolio import Portfolio, noon
from tideover import app

ROSTER = """agents:
  - name: anna
    languages: [en, es]
    jurisdictions: [US, IN]
    phone: "+12125550142"
    certificates: [{kind: IIBF debt recovery agent, jurisdiction: IN, reference: C-77, since: 2026-01-01, until: 2026-04-01}]
    shifts:
      - {days: [mon, tue], opens: "09:00", closes: "17:00", zone: America/New_York, since: 2026-01-01}
  - {name: ben, languages: [hi], jurisdictions: [IN]}
"""


def tideover(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["agents", *arguments])
    return done.exit_code, done.output


@pytest.fixture
def roster(portfolio: Portfolio, tmp_path: Path) -> Path:
    portfolio.clock(noon("US"))
    file = tmp_path / "roster.yaml"
    file.write_text(ROSTER)
    return file


def test_a_roster_twice_is_a_roster_once_and_what_it_drops_ends(roster: Path) -> None:
    for _ in range(2):
        assert tideover("import", str(roster), "--by", "ops") == (0, "2 agents are as roster.yaml says\n")
    with connection() as tx:
        anna = agents.find(tx, "anna")
        assert anna is not None
        assert (len(anna.shifts), len(anna.certificates), agents.phone_of(tx, anna.id)) == (2, 1, "+12125550142")
    code, said = tideover("list")
    assert code == 0
    assert "anna  works now  speaks en, es  for US, IN" in said
    assert "IIBF debt recovery agent (IN) ends or ended on 2026-04-01" in said
    assert "5550142" not in said
    roster.write_text(ROSTER.replace("[mon, tue]", "[mon]"))
    tideover("import", str(roster), "--by", "ops")
    (listed, _) = [json.loads(line) for line in tideover("list", "--json")[1].splitlines()]
    assert (listed["agent"], listed["works_now"]) == ("anna", False)


def test_who_leaves_calls_nobody_and_a_roster_that_cannot_be_changes_nothing(roster: Path) -> None:
    tideover("import", str(roster), "--by", "ops")
    assert tideover("leave", "ben")[0] == 0
    assert tideover("leave", "ben")[0] == 2
    roster.write_text(ROSTER.replace("[US, IN]", "[nowhere]"))
    code, said = tideover("import", str(roster), "--by", "ops")
    assert code == 2
    assert "roster.yaml" in said
    with connection() as tx:
        assert [agent.name for agent in agents.everybody(tx)] == ["anna"]
