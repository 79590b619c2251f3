"""The page for people of a dossier: plain HTML, nothing fetched from anywhere, the same bytes for the same dossier.

In:   the dossier as JSON has it.
Out:  one HTML document.
Pure: yes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #bbb}"
    "table{border-collapse:collapse;width:100%;font-size:.9rem}"
    "th,td{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;border-bottom:1px solid #ddd;overflow-wrap:anywhere}"
    "blockquote{margin:.5rem 0;padding:.5rem 1rem;background:#f3f3f3;white-space:pre-wrap}"
    "code{font-size:.85em;overflow-wrap:anywhere}.quiet{color:#555}"
)
_INTRODUCTION: Final = (
    "<p>Everything below stands in evidence.json too. <code>tideover evidence --verify FOLDER</code> checks it without a database;"
    " what it cannot prove, it says.</p>"
)
_ATTEMPT: Final = (
    "id",
    "business_date",
    "stage",
    "channel",
    "purpose",
    "message",
    "locale",
    "state",
    "submitted_at",
    "called_at",
    "provider",
    "provider_id",
    "error_code",
    "party_id",
    "contact_point_id",
    "campaign_run_id",
)
_DECISION: Final = ("id", "decided_at", "facts_known_at", "action", "step", "score", "probability", "propensities", "reasons")


def page(told: Mapping[str, Any]) -> str:
    """The dossier as a person reads it."""
    attempt = told["attempt"]
    title = f"Evidence of attempt {attempt['id']}, {attempt['business_date']}"
    parts = [
        f"<h1>{_say(title)}</h1>",
        _INTRODUCTION,
        _section(
            "The attempt",
            _pairs(
                {name: attempt[name] for name in _ATTEMPT}
                | {
                    "runs in Prefect": told["run"].get("flow_runs", []),
                    "people about the run": [_said(one) for one in told["run"].get("approvals", [])],
                }
            ),
        ),
        _section("What was said", _text(told["text"], attempt)),
        _section("Why: the decision", _pairs({name: told["decision"][name] for name in _DECISION})),
        _section("Leave to send: the permit, or why it was held back", _pairs(_without_rules(attempt["permit"]))),
        _section("The rules, as they were in force", _rules(told["rules"])),
        _section("What happened", _table(told["transitions"], ("at", "from_state", "to_state", "cause", "details"))),
        _section("What the contact log counts", _table(told["contacts"], ("at", "direction", "result", "counts", "uncounts", "source"))),
        _section("What the provider said", _table(told["answers"], ("at", "status", "error_code", "times_received", "effect"))),
        _section("Facts as they were known", "".join(_facts(told["facts"]))),
        _section("Versions", _versions(told["policies"])),
        _section("Proof", _proof(told["proofs"])),
    ]
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_say(title)}</title><style>{_STYLE}</style></head>'
    return head + "<body>" + "\n".join(parts) + "</body></html>\n"


def _said(step: Mapping[str, Any]) -> str:
    """Who asked, approved or rejected, in which role and when."""
    who = step["approved_by"] or step["asked_by"]
    role = f" ({step['role']})" if step["role"] else ""
    reason = f": {step['reason']}" if step["reason"] else ""
    return f"{step['verdict']} by {who}{role} at {step['at']}{reason}"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_say(title)}</h2>{body}</section>"


def _pairs(values: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{_say(name.replace('_', ' '))}</th><td>{_value(value)}</td></tr>" for name, value in values.items())
    return f"<table>{rows}</table>" if rows else _quiet("none")


def _table(rows: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> str:
    if not rows:
        return _quiet("nothing")
    columns = tuple(columns)
    head = "".join(f"<th>{_say(name.replace('_', ' '))}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{_value(row.get(name))}</td>" for name in columns) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _text(text: Mapping[str, Any], attempt: Mapping[str, Any]) -> str:
    proof = f"<p class=quiet>Hash of the words: <code>{_say(attempt['text_hash'] or 'none')}</code></p>"
    if not text["opened"]:
        return _quiet(f"Not shown: {text['why_not']}.") + proof
    title = f"<p><strong>{_say(text['title'])}</strong></p>" if text["title"] else ""
    return f"{title}<blockquote>{_say(text['body'])}</blockquote>{proof}"


def _without_rules(permit: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (permit or {}).items() if name != "rules"}


def _rules(rules: Sequence[Mapping[str, Any]]) -> str:
    return "".join(_rule(rule) for rule in rules) or _quiet("none is named")


def _rule(rule: Mapping[str, Any]) -> str:
    numbers = f" In force on {_say(rule['on'])}: {_say(rule['in_force'])}." if rule.get("in_force") else ""
    sources = "; ".join(
        " ".join(filter(None, (source["title"], source.get("section"), f"(read {source['read_on']})"))) for source in rule["reference"]
    )
    unverified = f" <em>Not verified: {_say(rule['unverified'])}</em>" if rule["unverified"] else ""
    words = f"<strong>{_say(rule['rule'])}</strong> {_say(rule['says'])}{numbers}{unverified}"
    return f"<p>{words}<br><span class=quiet>{_say(sources)}</span></p>"


def _facts(facts: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterable[str]:
    for name, rows in facts.items():
        if rows:
            yield f"<h3>{_say(name.replace('_', ' '))}</h3>" + _table(rows, [column for column in rows[0] if column != "party_id"])
    if empty := [name.replace("_", " ") for name, rows in facts.items() if not rows]:
        yield _quiet(f"None known: {', '.join(empty)}.")


def _versions(policies: Sequence[Mapping[str, Any]]) -> str:
    return _table(
        [{"policy": f"{one['kind']} {one['name']}", "file": f"policies/{one['hash']}.yaml"} for one in policies], ("policy", "file")
    )


def _proof(proofs: Mapping[str, Any]) -> str:
    lines = [{"row": f"{line['table']} {line['id']}", "under_link": line["number"], "steps": len(line["path"])} for line in proofs["lines"]]
    links = proofs["links"]
    head = f"<p>Head of the run: link {links[-1]['number']}, <code>{_say(links[-1]['link'])}</code></p>" if links else ""
    return _table(lines, ("row", "under_link", "steps")) + head


def _quiet(words: str) -> str:
    return f"<p class=quiet>{_say(words)}</p>"


def _value(value: Any) -> str:
    if value is None or value in ([], {}):
        return "<span class=quiet>none</span>"
    if isinstance(value, Mapping):
        return "<br>".join(f"{_say(name)}: {_value(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(_value(one) for one in value)
    return _say(value)


def _say(value: object) -> str:
    return escape(str(value))
