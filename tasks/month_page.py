"""A month's page as one HTML file that opens from a disk: its style and its pictures stand inside, and nothing is fetched from anywhere.

In:   a `MonthReport`.
Out:  one HTML document.
Pure: but for the settings' mode and zone, yes; its style sheet is read once, when it is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from tasks.markdown import local, mode, reached, table
from tasks.month_report import MonthReport
from tasks.month_sections import Section
from tasks.pictures import as_address

_STYLE: Final = Path(__file__).with_name("month_page.css").read_text("utf-8")

_FOOT: Final = (
    "<footer>Made by <code>tideover report</code>. Counts of few people are not shown, nor what they could be worked out from; a rate of"
    " too few is not told. Every definition with its source: docs/report.md.</footer></body></html>\n"
)


def page(found: MonthReport) -> str:
    """The month as people read it."""
    title = f"{found.month}, {found.period.country}"
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    parts = [
        f'<!doctype html><html lang="en"><head>{meta}<title>{title}</title><style>{_STYLE}</style></head><body>',
        *_head(found, title),
        "<main>",
        *(_section(one) for one in found.sections),
        "</main>",
        _FOOT,
    ]
    return "\n".join(parts)


def tables(found: MonthReport, file: str) -> str:
    """The same tables as markdown, for the Prefect UI; the whole page with its pictures is a file."""
    lines = [
        f"# {found.month}, {found.period.country}",
        "",
        mode(),
        "",
        f"The page with its pictures: `{file}` in the folder of reports (TIDEOVER_REPORT_DIR).",
    ]
    for one in found.sections:
        lines += ["", f"## {one.title}", "", one.means, *(["", f"**{one.too_few}**"] if one.too_few else [])]
        for heading, rows in one.rows.items():
            if rows:
                lines += ["", *([f"### {heading}", ""] if heading else []), *table(rows)]
    return "\n".join(lines)


def _head(found: MonthReport, title: str) -> Iterator[str]:
    word, who = reached()
    over = "" if found.is_over else " The month is not over."
    yield f"<header><h1>{escape(title)}</h1>"
    yield (
        f'<p class="quiet"><strong>{escape(word)}</strong>: {escape(who)}. {found.period.first} to {found.period.last}, as it stood at'
        f" {escape(local(found.at))}.{over}</p></header>"
    )
    yield '<nav aria-label="Parts"><ul>'
    yield from (f'<li><a href="#{one.key}">{escape(one.title)}</a></li>' for one in found.sections)
    yield "</ul></nav>"


def _section(one: Section) -> str:
    name = f"{one.key}-name"
    few = f'<p class="few">{escape(one.too_few)}</p>' if one.too_few else ""
    pictures = "".join(
        f'<figure><div class="wide" tabindex="0" role="group" aria-label="{escape(picture.says)}">'
        f'<img alt="{escape(picture.says)}" src="{as_address(picture.png)}"></div></figure>'
        for picture in one.pictures
    )
    tables = "".join(_table(heading, rows) for heading, rows in one.rows.items() if rows)
    return (
        f'<section id="{one.key}" aria-labelledby="{name}"><h2 id="{name}">{escape(one.title)}</h2>'
        f'<p class="quiet">{escape(one.means)}</p>{few}{pictures}{tables}</section>'
    )


def _table(heading: str, rows: Sequence[Mapping[str, Any]]) -> str:
    first, *others = rows[0]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (first, *others))
    body = "".join(
        f'<tr><th scope="row">{escape(str(row[first]))}</th>{"".join(f"<td>{escape(str(row[name]))}</td>" for name in others)}</tr>'
        for row in rows
    )
    said = escape(heading) or escape(first)
    title = f"<h3>{escape(heading)}</h3>" if heading else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'{title}<div class="wide" tabindex="0" role="group" aria-label="{said}">{table}</div>'
