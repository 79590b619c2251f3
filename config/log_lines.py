"""Log lines as JSON: one object a line, with what belongs together, and nothing of a person.

A foreign exception's words may repeat the values of a statement or a request, so only the words of our own are written
down; of every exception its class and where it was raised.

In:   records of `logging`, ours, Prefect's, uvicorn's.
Out:  lines on standard error: `at`, `level`, `logger`, `message`, where they are known `flow_run`, `flow_run_name`, `task_run_name`,
      `campaign_run`, and `error`.
Pure: formatting is; `use_json` changes the process's logging. Prefect's programs take the same form by config/prefect-logging.yaml.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from config.settings import HOUSE

FRAMES_MAX: Final = 8
# What Prefect's loggers bring along → how we call it.
NAMES: Final = {
    "flow_run_id": "flow_run",
    "flow_run_name": "flow_run_name",
    "task_run_name": "task_run_name",
    "campaign_run_id": "campaign_run",
    "worker_name": "worker",
}
UVICORN: Final = ("uvicorn", "uvicorn.error", "uvicorn.access")

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class JsonLines(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {ours: str(value) for name, ours in NAMES.items() if (value := getattr(record, name, None)) is not None}
        campaign_run = _campaign_run()
        if campaign_run is not None:
            line.setdefault("campaign_run", str(campaign_run))
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _error(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def use_json() -> None:
    """Write what this process logs as JSON lines on standard error, from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in UVICORN:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def _campaign_run() -> Any:
    """The campaign run that the task at work treats, where there is a task: its parameter says so."""
    context = sys.modules.get("prefect.context")
    at_work = context.TaskRunContext.get() if context else None
    return None if at_work is None else at_work.parameters.get("campaign_run_id")


def _error(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    told: dict[str, Any] = {"class": f"{type(error).__module__}.{type(error).__qualname__}"}
    if _is_ours(type(error)):
        told["message"] = str(error)
    told["where"] = [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]
    return told


def _is_ours(kind: type[BaseException]) -> bool:
    return (HOUSE / kind.__module__.split(".")[0] / "__init__.py").exists()


def _short(filename: str) -> str:
    """A path below the house, or the last two parts of a foreign one: homes have people's names."""
    path = Path(filename)
    return str(path.relative_to(HOUSE)) if path.is_relative_to(HOUSE) else "/".join(path.parts[-2:])
