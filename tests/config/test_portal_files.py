"""What the borrower's page says: whole in every language, in plain words, and no page without its texts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import get_args

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined, nodes

from config.free_help import HELP_KINDS
from config.lint_files import word_lists
from config.load import ConfigError
from config.page_texts import WAY, PageWords, page_texts
from config.portal_files import PAGES, page_policy
from decisions.cases import ANSWERED_FIRST, RESULTS_OF
from decisions.lint_rules import LISTED
from decisions.lint_words import found
from decisions.no_dues import Reason
from decisions.words import CHANNELS
from ledger.tables_payments import ORDER_STATES
from portal.account import DOES
from portal.acts import MEANS, Setting, meant
from portal.door import ASKED, ENTERED
from portal.my_data import KINDS
from portal.my_needs import offered
from portal.papers import PDFS
from portal.paying import CHOICES
from portal.typed import UnclearError
from portal.web import TEMPLATES
from tests.plugins.portfolio import TODAY

WORDS = page_texts(PAGES)
TEXTS = frozenset(WORDS["en"].texts)
LISTS = word_lists()
LOCALES = ("en", "es", "fil", "hi", "id", "ja", "ko", "pt", "sw", "th", "vi", "zh-Hans", "zh-Hant")
# Ways that others took and imports tell of: they are called what they are.
OTHERS_WAYS = frozenset({f"{WAY}social_public", f"{WAY}visit"})


def test_every_language_is_there_and_four_are_approved() -> None:
    assert tuple(WORDS) == LOCALES
    assert set(page_texts(PAGES, drafts=False)) == {"en", "es", "zh-Hans", "zh-Hant"}


@pytest.mark.parametrize("locale", LOCALES)
def test_no_text_threatens_shames_presses_or_speaks_the_trades_words(locale: str) -> None:
    words, language = WORDS[locale], LISTS.languages[locale]
    listed = [*(language.lists[rule] for rule in LISTED), *(term.listed for term in (*language.trade, *language.other_region))]
    read = {name: said for name, said in words.texts.items() if name not in OTHERS_WAYS}
    assert {name: hits for name, said in read.items() for one in listed if (hits := found(said, one, language.writing))} == {}
    assert [name for name, said in read.items() if "!" in said or "！" in said] == []


def test_every_text_is_used_and_every_text_that_is_used_exists() -> None:
    """Templates name texts plainly, or by a beginning to which an act or what came of it is added."""
    named: set[str] = set()
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=True)
    for path in TEMPLATES.glob("*.html"):
        for call in environment.parse(path.read_text("utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "t":
                named |= {one.value for one in call.args[0].find_all(nodes.Const)} | (
                    {call.args[0].value} if isinstance(call.args[0], nodes.Const) else set()
                )
    plain = {name for name in named if not name.endswith("_")}
    assert plain <= TEXTS
    code = "".join(path.read_text("utf-8") for path in sorted(TEMPLATES.parent.glob("*.py")))
    built = {f"do_{act}" for act in DOES} | {f"about_{meaning}" for meaning in MEANS.values()} | {*ASKED.values(), *ENTERED.values()}
    built |= {f"{WAY}{channel}" for channel in CHANNELS}
    built |= {f"doc_{kind}" for kind in PDFS} | {f"data_{form}" for form in KINDS}
    built |= {f"no_dues_{reason}" for reason in get_args(Reason)}
    built |= {f"wishes_{end}" for end in ("opens", "closes")} | {f"help_{kind}" for kind in HELP_KINDS}
    built |= {f"case_{kind}" for kind in ANSWERED_FIRST} | {f"result_{result}" for kind in ANSWERED_FIRST for result in RESULTS_OF[kind]}
    built |= {f"pay_{what}" for what in (*ORDER_STATES, *CHOICES)} | {f"pay_title_{state}" for state in ORDER_STATES}
    built |= {f"my_need_{need}" for need in offered()}
    assert built <= TEXTS
    assert {name for name in TEXTS - plain - built if f'"{name}"' not in code} == set()


@pytest.mark.parametrize(
    ("locale", "change", "says"),
    [
        ("es", ('  title: "Su página"\n', ""), "missing title"),
        ("es", ("texts:\n", 'texts:\n  hurry: "now"\n'), "unknown hurry"),
        ("es", ("{number}", "{name}"), "has exactly the gaps number"),
        ("es", ("texts:\n", 'texts:\n  way_sms: "SMS"\n'), "unknown way_sms"),
        ("en", ("texts:\n", 'texts:\n  way_sms: "SMS"\n'), "another file of this locale has way_sms too"),
        ("en", ("approved: true", "approved: draft"), "not all is approved in en"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, locale: str, change: tuple[str, str], says: str) -> None:
    for one in ("en", "es"):
        shutil.copytree(PAGES / one, tmp_path / one)
    file = tmp_path / locale / "page.yaml"
    file.write_text(file.read_text("utf-8").replace(*change, 1), "utf-8")
    with pytest.raises(ConfigError, match=says):
        page_texts(tmp_path, drafts=False)


@pytest.mark.parametrize(("missing", "says"), [("es", "missing files ways, which English has"), ("en", "there is no such file in English")])
def test_a_locale_has_the_files_that_english_has(tmp_path: Path, missing: str, says: str) -> None:
    for one in ("en", "es"):
        shutil.copytree(PAGES / one, tmp_path / one)
    (tmp_path / missing / "ways.yaml").unlink()
    with pytest.raises(ConfigError, match=says):
        page_texts(tmp_path)


def test_the_guards_are_no_looser_than_what_is_written_down() -> None:
    policy = page_policy()
    assert (policy.code_valid.total_seconds(), policy.tries_max, policy.idle.total_seconds()) == (600, 5, 1800)


@pytest.mark.parametrize(
    ("locale", "currency", "typed", "minor"),
    [
        ("en", "USD", "1,234.50", 123_450),
        ("en", "USD", "$ 1234.5", 123_450),
        ("pt", "BRL", "1.234,50", 123_450),
        ("id", "IDR", "50.000", 5_000_000),
        ("ja", "JPY", "5000", 5_000),
        ("en", "USD", "1.234,50", None),
        ("en", "USD", "12.345", None),
        ("ja", "JPY", "50.5", None),
        ("en", "USD", "0", None),
        ("en", "USD", "-5", None),
        ("en", "USD", "9" * 30, None),
    ],
)
def test_an_amount_is_read_as_people_of_the_region_write_it_or_asked_for_again(
    locale: str, currency: str, typed: str, minor: int | None
) -> None:
    setting = Setting(today=TODAY, currency=currency, open_minor=0)
    fields = {"day": TODAY.isoformat(), "amount": typed}
    words: PageWords = WORDS[locale]
    if minor is None:
        with pytest.raises(UnclearError):
            meant("promise", fields, 1, "sms", setting, words)
    else:
        assert meant("promise", fields, 1, "sms", setting, words).amount_minor == minor
