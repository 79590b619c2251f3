"""`tideover message`: what a text costs (as CASES.md describes it), how it looks, and who has said yes to its words."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from config import settings as settings_module
from config.message_files import MESSAGES, message_texts
from config.voice_files import voice_prompts
from decisions.packs import Packs
from gate.lane import run_lane
from ledger.approvals import approved_messages
from ledger.clock import now
from ledger.engine import connection
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tideover import app


def measured(*lines: str, smart: bool = False) -> list[dict[str, object]]:
    answer = CliRunner().invoke(app, ["message", "measure", *(["--smart"] if smart else [])], input="".join(f"{line}\n" for line in lines))
    assert answer.exit_code == 0
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_each_text_is_answered_on_a_line_of_its_own() -> None:
    assert measured('{"text": "Hi"}', "", '{"text": "m\\u00e1s"}', json.dumps({"text": "a" * 161})) == [
        {"encoding": "GSM-7", "units": 2, "segments": 1},
        {"encoding": "UCS-2", "units": 3, "segments": 1},
        {"encoding": "GSM-7", "units": 161, "segments": 2},
    ]


def test_smart_encoding_is_counted_only_when_asked_for() -> None:
    quoted = json.dumps({"text": "“" + "a" * 100 + "”"})
    assert [answer[0]["segments"] for answer in (measured(quoted), measured(quoted, smart=True))] == [2, 1]


@pytest.mark.parametrize("line", ["text", "[]", '{"text": 3}', '{"words": "x"}', '{"text": "x"'])
def test_a_line_that_is_not_a_text_is_named_and_not_repeated(line: str) -> None:
    refused = CliRunner().invoke(app, ["message", "measure"], input=f'{{"text": "fine"}}\n{line}\n')
    assert refused.exit_code == 2
    assert refused.stderr.startswith("standard input:2: ")


def test_bytes_that_are_no_text_are_refused() -> None:
    refused = CliRunner().invoke(app, ["message", "measure"], input=b'{"text": "\xff"}\n')
    assert refused.exit_code == 2


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["message", *words])


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of our own."""
    monkeypatch.setattr(settings_module, "STATE_FOLDER", tmp_path)
    return tmp_path


class Outline(HTMLParser):
    """What a page is made of, as far as whoever cannot see it depends on it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.languages: set[str] = set()
        self.figures = self.captions = 0
        self.targets: set[str] = set()
        self.ids: set[str] = set()
        self.fetched: list[str] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.languages |= {given["lang"] or ""} if tag == "div" and "lang" in given else set()
        self.figures += tag == "figure"
        self.captions += tag == "figcaption"
        self.ids |= {given["id"] or ""} if "id" in given else set()
        self.targets |= {(given["href"] or "").removeprefix("#")} if tag == "a" else set()
        self.fetched += [value or "" for name, value in attrs if name in {"src", "srcset", "data"} or (tag == "link" and name == "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_preview_is_one_page_with_every_language_and_channel(state: Path) -> None:
    answer = run("preview", "mid_talk")
    assert answer.exit_code == 0
    file = Path(answer.stdout.strip())
    assert file == state / "previews" / "mid_talk.html"
    page = file.read_text("utf-8")
    outline = Outline(page)
    texts = [text for (name, _), text in message_texts().by_key.items() if name == "mid_talk"]
    assert outline.languages == {text.locale for text in texts}
    assert outline.figures == outline.captions == sum(len(text.words) for text in texts)
    assert outline.targets <= outline.ids
    assert outline.fetched == []
    assert "url(" not in page
    for part in ("Lantern Wallet", "draft: sandbox mode only", "segments · GSM-7", "cost unknown", "25", "ローン", "किस्त"):
        assert part in outline.words


def test_a_preview_shows_one_language_where_one_is_asked_for_and_says_it_in_json(state: Path) -> None:
    told = json.loads(run("preview", "early_reminder", "--locale", "ja", "--sample", "--json").stdout)
    assert {one["locale"] for one in told["texts"]} == {"ja"}
    (text_message,) = [one for one in told["texts"] if one["channel"] == "sms"]
    assert (text_message["encoding"], text_message["segments"], text_message["status"]) == ("UCS-2", 3, "draft")
    assert told["personal"] is False
    assert Path(told["file"]).is_relative_to(state)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("no_such",), "no such message"),
        (("mid_talk", "--locale", "fr"), "no such text"),
        (("mid_talk", "--sample", "--borrower", "x"), "say one of them"),
        (("../rules",), "no such message"),
    ],
)
def test_a_preview_of_what_there_is_not_is_refused(state: Path, words: tuple[str, ...], said: str) -> None:
    refused = run("preview", *words)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert not (state / "previews").exists()


def test_a_borrowers_own_preview_is_for_its_owner_alone_and_says_so(state: Path, portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    portfolio.borrower(locale="es-MX")
    answer = run("preview", "early_reminder", "--borrower", "#1")
    file = Path(answer.stdout.strip())
    assert file == state / "previews" / "early_reminder-borrower.html"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "personal" in answer.stderr
    page = file.read_text("utf-8")
    assert "this page is personal" in page
    (hers,) = set(re.findall(r'<span class="chip hers">[^<]+</span> <strong>([^<]+)</strong>', page))
    assert hers.startswith("español")
    told = json.loads(run("preview", "early_reminder", "--borrower", "#1", "--json").stdout)
    assert all("body" not in one and "title" not in one for one in told["texts"]), "a terminal's history keeps no amount of hers"
    assert {one["locale"] for one in told["texts"] if one["hers"]} == {"es"}


def test_a_borrower_of_whom_nothing_is_asked_gets_gaps_and_the_reason(state: Path, portfolio: Portfolio) -> None:
    del state
    portfolio.clock(noon("US"))
    portfolio.borrower(days_past_due=-40)
    told = json.loads(run("preview", "early_reminder", "--borrower", "#1", "--json").stdout)
    assert {one["lacks"] for one in told["texts"] if one["channel"] == "sms"} <= {
        "nothing to put into {amount}",
        "nothing to put into {due_on}",
    }
    assert {one["lacks"] for one in told["texts"] if one["channel"] == "push"} == {None}


def test_an_unknown_borrower_is_refused(state: Path, ledger_url: str) -> None:
    del state, ledger_url
    refused = run("preview", "early_reminder", "--borrower", "nobody")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "no borrower with that id" in refused.stderr


@pytest.mark.usefixtures("ledger_url")
def test_two_people_approve_the_words_that_they_were_shown() -> None:
    asked = run("approve", "early_reminder/en", "--by", "anna")
    assert asked.exit_code == 0
    assert "asked for the approval of early_reminder/en" in asked.stdout
    assert message_texts().text("early_reminder", "en").words["sms"].body in asked.stdout
    assert "a second person" in asked.stdout
    again = run("approve", "early_reminder/en", "--by", "Anna ")
    assert (again.exit_code, "four eyes" in again.stderr) == (1, True)
    assert "approved: early_reminder/en" in run("approve", "early_reminder/en", "--by", "ben").stdout
    assert _listed()["early_reminder", "en"]["approved"] is True
    assert _listed()["early_reminder", "es"]["approved"] is False
    assert "rejected" in run("approve", "early_reminder/en", "--by", "ben", "--reject", "--reason", "a comma is missing").stdout
    assert _listed()["early_reminder", "en"]["approved"] is False


@pytest.mark.usefixtures("ledger_url")
def test_what_automated_calls_say_is_listed_and_approved_like_a_message() -> None:
    asked = run("approve", "voice/en", "--by", "anna")
    assert asked.exit_code == 0
    assert "To get no more of these calls, press 9." in asked.stdout
    assert "approved: voice/en" in run("approve", "voice/en", "--by", "ben").stdout
    listed = _listed()
    assert listed["voice", "en"]["approved"] is True
    assert listed["voice", "en"]["version"] == voice_prompts()["en"].version
    draft = run("approve", "voice/ja", "--by", "anna")
    assert (draft.exit_code, "config/voice/ja.yaml" in draft.stderr) == (1, True)


@pytest.mark.usefixtures("ledger_url")
def test_the_list_says_what_no_provider_knows_yet() -> None:
    """WhatsApp takes registered words alone, but for an answer to who wrote lately."""
    listed = _listed()
    assert listed["early_reminder", "en"]["not_registered"] == ["whatsapp"]
    assert listed["help", "en"]["not_registered"] == []
    (line,) = [one for one in run("list", "early_reminder").stdout.splitlines() if "early_reminder/en " in one]
    assert line.endswith("; not registered: whatsapp")


@pytest.mark.usefixtures("state")
def test_what_automated_calls_say_is_shown_like_a_message_with_names_of_nobody() -> None:
    found = json.loads(run("preview", "voice", "--json", "--locale", "en").stdout)
    said = {one["channel"]: one for one in found["texts"]}
    assert sorted(said) == ["voice", "voicemail"]
    assert all(one["lacks"] is None for one in said.values())
    assert said["voice"]["body"].startswith("Hello. This is Lantern Wallet with an automated call for Nobody Atall.")


def test_a_template_is_printed_as_its_provider_wants_it_and_its_lines_are_taken_by_the_file(tmp_path: Path) -> None:
    shown = run("template", "early_reminder/en", "--id", "HX0123")
    assert shown.exit_code == 0
    words, _, lines = shown.stdout.partition("\n\n#")
    assert words.startswith("Hello, this is {{1}}. Your loan payment of {{2}} was due on {{3}}")
    shutil.copytree(MESSAGES, tmp_path / "messages")
    file = tmp_path / "messages" / "early_reminder" / "en.yaml"
    file.write_text(f"{file.read_text('utf-8')}#{lines}", "utf-8")
    registered = message_texts(tmp_path / "messages").text("early_reminder", "en").registered["whatsapp"]
    assert (registered.id, registered.variables) == ("HX0123", ("creditor", "amount", "due_on", "link", "stop"))
    silent = run("template", "help/en")
    assert (silent.exit_code, "says nothing on whatsapp" in silent.stderr) == (2, True)


@pytest.mark.usefixtures("ledger_url")
def test_a_draft_a_withdrawn_text_and_none_at_all_cannot_be_approved() -> None:
    draft = run("approve", "early_reminder/ja", "--by", "anna")
    assert (draft.exit_code, "is a draft" in draft.stderr) == (1, True)
    nothing = run("approve", "early_reminder/fr", "--by", "anna")
    assert (nothing.exit_code, "no such text" in nothing.stderr) == (2, True)
    assert _listed()["early_reminder", "ja"]["verdict"] is None


@pytest.mark.usefixtures("ledger_url")
def test_one_letter_more_is_another_text_and_nobody_has_approved_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("anna", "ben"):
        run("approve", "early_reminder/en", "--by", name)
    folder = tmp_path / "messages"
    shutil.copytree(MESSAGES, folder)
    file = folder / "early_reminder" / "en.yaml"
    file.write_text(file.read_text("utf-8").replace("Thank you.", "Thank you!"), "utf-8")
    changed = message_texts(folder).text("early_reminder", "en")
    monkeypatch.setattr("gate.text_approvals.message_texts", lambda: message_texts(folder))
    with connection() as tx:
        assert changed.version not in approved_messages(tx, now(tx))
    assert _listed()["early_reminder", "en"]["approved"] is False


def test_in_live_mode_the_gate_holds_back_words_that_nobody_approved(
    portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the real gate; the rule packs, which have approvals of their own, are left out of it."""
    monkeypatch.setattr("ledger.law.settings", lambda: SimpleNamespace(is_real=True, rules_last_good=False))
    monkeypatch.setattr(Packs, "in_live_mode", lambda packs, _: packs)
    portfolio.clock(noon("US"))
    first, second = portfolio.borrower(), portfolio.borrower()
    run_id = outbox.run()
    channel = RecordingChannel()
    outbox.plan(run_id, first)
    run_lane(run_id, shard=None, channels={"sms": lambda: channel})
    assert channel.sent == []
    assert [row.state for row in outbox.rows("SELECT state FROM attempt")] == ["withheld"]
    for name in ("anna", "ben"):
        assert run("approve", "early_reminder/en", "--by", name).exit_code == 0
    outbox.plan(run_id, second)
    run_lane(run_id, shard=None, channels={"sms": lambda: channel})
    assert len(channel.sent) == 1


def _listed() -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["message"], one["locale"]): one for one in json.loads(run("list", "--json").stdout)}
