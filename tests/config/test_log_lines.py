"""Log lines as JSON: what belongs together stands together, and an exception's words are kept only where they are ours."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.logging.configuration import load_logging_config
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from config.load import ConfigError
from config.log_lines import JsonLines

HOUSE = Path(__file__).resolve().parents[2]
NUMBER = "+12125550100"


def line(message: str, *values: Any, error: BaseException | None = None, **extra: Any) -> dict[str, Any]:
    """A record as its line says it."""
    record = logging.LogRecord("tideover.test", logging.WARNING, __file__, 1, message, values, None)
    if error is not None:
        record.exc_info = (type(error), error, error.__traceback__)
    vars(record).update(extra)
    written = JsonLines().format(record)
    assert "\n" not in written
    told: dict[str, Any] = json.loads(written)
    return told


def test_a_line_says_when_where_and_what() -> None:
    told = line("%d borrowers\nleft in peace", 3)
    assert {name: told[name] for name in ("level", "logger", "message")} == {
        "level": "warning",
        "logger": "tideover.test",
        "message": "3 borrowers\nleft in peace",
    }
    assert told["at"].endswith("+00:00")


def test_a_line_of_a_run_names_the_run_under_our_words_and_nothing_else_of_it() -> None:
    told = line(
        "x", flow_run_id="f-1", flow_run_name="early 2026-03-17", task_run_name="send shard 1", campaign_run_id=7, deployment_name="d"
    )
    assert {name: told[name] for name in told.keys() - {"at", "level", "logger", "message"}} == {
        "flow_run": "f-1",
        "flow_run_name": "early 2026-03-17",
        "task_run_name": "send shard 1",
        "campaign_run": "7",
    }


def test_our_own_errors_speak_and_foreign_ones_only_have_a_class(server_url: str) -> None:
    engine = create_engine(server_url.replace("postgresql://", "postgresql+psycopg://"))
    with pytest.raises(SQLAlchemyError) as foreign, engine.begin() as tx:
        tx.execute(text("SELECT CAST(:number AS date)"), {"number": NUMBER})
    engine.dispose()
    assert NUMBER in str(foreign.value)
    told = line("failed", error=foreign.value)
    assert NUMBER not in json.dumps(told)
    assert told["error"]["class"].startswith("sqlalchemy.exc.")
    assert "message" not in told["error"]
    assert told["error"]["where"][-1].split(":")[0].endswith("psycopg/cursor.py")
    assert not any(frame.startswith("/") for frame in told["error"]["where"])

    ours = line("failed", error=ConfigError("config/rules/us.yaml", 14, "hours", "not a time"))
    assert ours["error"]["message"] == "config/rules/us.yaml:14: hours: not a time"


def test_prefects_programs_use_the_same_form_and_keep_their_own_loggers() -> None:
    ours = load_logging_config(HOUSE / "config" / "prefect-logging.yaml")
    theirs = load_logging_config(Path(sys.modules["prefect.logging.configuration"].__file__ or "").parent / "logging.yml")
    assert ours["handlers"]["console"]["formatter"] == "lines"
    assert set(ours["loggers"]) == set(theirs["loggers"])
    for name, logger in theirs["loggers"].items():
        same = {key: value for key, value in logger.items() if key != "handlers"}
        assert {key: ours["loggers"][name].get(key) for key in same} == same, name
        to_server = {"api", "worker_api"} & set(logger.get("handlers", []))
        assert {"api", "worker_api"} & set(ours["loggers"][name].get("handlers", [])) == to_server, name


def test_a_process_that_uses_it_writes_nothing_but_lines() -> None:
    program = """
import logging, warnings
from config.log_lines import use_json
logging.getLogger("uvicorn").addHandler(logging.StreamHandler())
use_json()
logging.getLogger("portal.webhooks").warning("webhook refused with %d", 403)
logging.getLogger("uvicorn.error").error("no port")
logging.getLogger("anything").info("not said")
try:
    raise KeyError("+12125550100")
except KeyError:
    logging.getLogger("asyncio").exception("Task exception was never retrieved")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=HOUSE, check=True, capture_output=True, text=True)
    lines = [json.loads(one) for one in done.stderr.splitlines()]
    assert [(one["logger"], one["message"]) for one in lines] == [
        ("portal.webhooks", "webhook refused with 403"),
        ("uvicorn.error", "no port"),
        ("asyncio", "Task exception was never retrieved"),
    ]
    assert lines[2]["error"]["class"] == "builtins.KeyError"
    assert "+12125550100" not in done.stderr
