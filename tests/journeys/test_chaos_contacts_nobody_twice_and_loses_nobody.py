"""Everything is killed while it holds unfinished work, and nobody is contacted twice, lost, or contacted against a rule.

A small run of `make chaos`; the whole one is 200 kills over 5,000 messages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
KILLS, MESSAGES = 4, 80
SECONDS_MAX = 240


def test_killing_senders_portal_and_database_leaves_nobody_contacted_twice_lost_or_against_a_rule() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEOVER_", "PREFECT_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--kills", str(KILLS), "--messages", str(MESSAGES), "--seed", "7"],
        cwd=HOUSE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    counted = json.loads(done.stdout.splitlines()[-1])
    assert list(counted) == ["kills", "messages", "twice", "lost", "against_rule", "unknown", "parked"]
    assert counted["kills"] == KILLS
    assert counted["messages"] >= MESSAGES
    assert (counted["twice"], counted["lost"], counted["against_rule"], counted["unknown"]) == (0, 0, 0, 0), done.stderr
    assert done.returncode == 0, done.stderr
    # A provider that can be asked leaves nothing to a person.
    assert "sms parked" not in done.stderr
