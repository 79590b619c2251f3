"""Answers: what people write back, in English, Spanish and Chinese, tidy or not. The most protective reading wins."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import ConfigError
from config.replies import REPLIES_FILE, reply_policy, reply_policy_in_force
from config.reply_words import WORDS, read_lexicons
from decisions.business_days import business_days_end
from decisions.replies import INTENTS, UNCLEAR, Reading, Setting, read_reply

STOP = [
    "STOP", "stop", " Stop. ", "ＳＴＯＰ", "S T O P", "S.T.O.P.", "stoppp!!!", "STOPALL", "stop all", "UNSUBSCRIBE", "Cancel", "END", "quit", "REVOKE", "OptOut", "opt-out",
    "Please stop texting me", "STOP!! I said it twice", "pls stop", "Stop calling and texting me.", "don't text me again", "Don’t contact me", "do not call me anymore", "leave me alone!",
    "take me off your list", "I want to opt out", "remove my number", "ok stop thanks", "🛑", "stop 🙏", "cancel 🙏", "I revoke my consent", "Yes. Cancel.",
    "BAJA", "Alto", "alto!", "CANCELAR", "parar", "Baja por favor", "No me manden más mensajes", "dejen de escribirme", "déjenme en paz", "ya no me llamen", "quiero darme de baja", "no quiero recibir mas",
    "停止", "退訂", "退订", "取消", "取消訂閱", "不要再傳", "不要再傳了", "別再傳了!", "TD", "td", "T", "退訂。謝謝", "请停止发送", "請停止發送", "别再发了", "不要 再 傳", "不要再打電話給我", "勿擾",
]  # fmt: skip
NOT_STOP = [
    "I will pay at the end of the month", "can't stop by today", "I don't stop working", "el monto es muy alto", "no tengo para pagar", "quiero cancelar la deuda", "dejé de trabajar",
    "la baja del salario", "please stop the fees", "I quit my job", "", "   ", "?", "👍", "ok", "好", "不要再加利息", "stopped working in May",
]  # fmt: skip
PAID = [
    "paid", "Paid.", "PAID 👍", "already paid", "I already paid", "I've paid", "paid it yesterday, check please", "Paid this morning, please check", "I paid. Check your records", "payment was made on Monday",
    "it was paid last week", "just paid now", "I paid yesterday, did you get it?", "Ya pagué", "ya pague", "ya lo pagué ayer", "Pagué esta mañana, revisen por favor", "pagado", "Está pagada", "ya hice el pago",
    "我已經繳了", "昨天繳了", "已付款,請查收", "已繳", "已付", "已經付了", "已还", "已付款", "我已经还了", "昨天还了", "剛剛轉了", "已經繳清了", "我付过了",
]  # fmt: skip
NOT_PAID = [
    "not paid yet", "I have not paid", "haven't paid yet", "I haven’t yet paid", "never paid this", "will be paid Friday", "I'll pay when I get paid", "once I got paid I send it", "paid?", "is this paid?",
    "unpaid", "I was paid today so can pay tomorrow", "if I had paid", "can not be paid", "paid leave", "no he pagado", "todavía no pagué", "aún no lo he pagado", "cuando pague les aviso", "quieren que pague?",
    "les pago mañana", "還沒付", "还没付", "還沒付了", "我還沒繳", "尚未已付", "未付款", "沒有付了", "会还的", "月底才還了", "等發薪,就還了", "付了嗎", "已經付了嗎?", "明天就还了", "没钱还了", "已付不起",
]  # fmt: skip
WRONG = [
    "Wrong number", "wrong person!", "You have the wrong person", "I don't know who that is, wrong number", "this isn't me", "I'm not him", "Número equivocado", "numero equivocado", "No soy esa persona",
    "se equivocaron de número", "你打錯了", "我不是這個人", "打錯號碼了", "你打错了", "我不是这个人", "发错号码了", "我不是本人",
]  # fmt: skip
NOT_WRONG = [
    "This amount is wrong",
    "wrong number of instalments",
    "El monto está equivocado",
    "se equivocaron en el monto",
    "金額不對",
    "I don't owe this",
    "who is this",
]
DANGER = {
    "mental_health_crisis": [
        "I want to die",
        "I'm going to kill myself",
        "I can’t do this, I'll end it all",
        "quiero morirme",
        "me voy a suicidar",
        "我不想活了",
        "活不下去",
        "想死",
        "自杀",
    ],
    "complaint": ["your agent threatened me", "my husband beats me", "me amenazaron", "你們威脅我", "家暴"],
    "illness": ["I'm in hospital", "my mother is sick", "estoy enferma", "me operaron", "住院中", "我媽生病了", "刚做完手术"],
    "bereavement": ["my father died", "She passed away in May", "mi esposo falleció", "我爸去世了", "他過世了", "我爸死了"],
}
NOT_DANGER = ["so I'll pay Friday", "I'm sick of this", "my phone died", "累死了", "I am still looking", "paid off"]


def read(text: str) -> Reading:
    return read_reply(text, reply_policy_in_force().lexicon)


@pytest.mark.parametrize("text", STOP)
def test_a_stop_is_heard(text: str) -> None:
    assert "stop" in read(text).intents


@pytest.mark.parametrize("text", NOT_STOP)
def test_what_only_sounds_like_a_stop_is_none(text: str) -> None:
    assert "stop" not in read(text).intents


@pytest.mark.parametrize("text", PAID)
def test_paid_is_heard(text: str) -> None:
    reading = read(text)
    assert reading.intent == "paid"
    assert reading.because


@pytest.mark.parametrize("text", NOT_PAID)
def test_not_paid_is_not_paid(text: str) -> None:
    assert "paid" not in read(text).intents


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_person_says_so(text: str) -> None:
    assert read(text).intent == "wrong_person"


@pytest.mark.parametrize("text", NOT_WRONG)
def test_a_wrong_amount_is_not_a_wrong_person(text: str) -> None:
    assert "wrong_person" not in read(text).intents


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in DANGER.items() for text in texts])
def test_danger_asks_for_a_person_at_once(kind: str, text: str) -> None:
    reading = read(text)
    assert reading.intent == "danger"
    assert reading.danger_kind == kind


@pytest.mark.parametrize("text", NOT_DANGER)
def test_a_figure_of_speech_is_no_danger(text: str) -> None:
    assert read(text).intent != "danger"


@pytest.mark.parametrize(
    ("text", "intent"), [("START", "start"), ("unstop", "start"), ("恢復", "start"), ("help", "help"), ("幫助", "help")]
)
def test_single_words_that_ask_for_something(text: str, intent: str) -> None:
    assert read(text).intent == intent


@pytest.mark.parametrize("text", ["yes", "si", "I will not pay", "不还", "not paid yet", "ok 👍", "you will pay for this", "还在上班"])
def test_the_rest_waits_for_a_person(text: str) -> None:
    assert read(text) == Reading(intent=UNCLEAR)


@pytest.mark.parametrize(
    ("text", "intents"),
    [
        ("I paid. Stop texting me", ("stop", "paid")),
        ("Stop! My father died", ("danger", "stop")),
        ("wrong number, stop", ("stop", "wrong_person")),
        ("我已經繳了,不要再傳", ("stop", "paid")),
        ("start or stop", ("stop",)),
    ],
)
def test_one_text_does_several_things_the_most_protective_first(text: str, intents: tuple[str, ...]) -> None:
    assert read(text).intents == intents


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("STOP", {"all"}),
        ("stop texting me", {"sms", "here"}),
        ("stop calling me", {"voice", "call"}),
        ("Stop calling and texting me.", {"sms", "here", "voice", "call"}),
        ("do not contact me", {"all"}),
        ("STOPALL", {"all"}),
        ("no me llamen", {"voice", "call"}),
        ("no me contacten", {"all"}),
        ("不要再打電話給我", {"voice", "call"}),
        ("不要再聯絡我", {"all"}),
        ("stop sending notifications", {"push", "here"}),
        ("remove my phone number", {"all"}),
        ("stop sending me WhatsApp messages", {"whatsapp"}),
        ("no more messages", {"here"}),
        ("don't call me, text me", {"voice", "call"}),
        ("别再发短信", {"sms", "here"}),
    ],
)
def test_a_stop_is_for_what_it_names(text: str, scope: set[str]) -> None:
    assert set(read(text).scope) == scope


def test_what_the_provider_recognised_counts_beside_the_words() -> None:
    lexicon = reply_policy_in_force().lexicon
    assert read_reply("arrêt", lexicon, provider_says="stop").intents == ("stop",)
    assert read_reply("stop", lexicon, provider_says="start").intents == ("stop",)


@given(text=st.text(max_size=60), stop=st.sampled_from([text for text in STOP if len(text) > 12]))
def test_whatever_else_a_text_says_a_stop_in_it_is_heard(text: str, stop: str) -> None:
    assert "stop" in read(f"{text}. {stop}").intents


@given(text=st.text(max_size=200))
def test_every_text_has_a_reading(text: str) -> None:
    reading = read(text)
    assert reading.intent in {*INTENTS, UNCLEAR}
    assert list(reading.intents) == sorted(reading.intents, key=[*INTENTS, UNCLEAR].index)
    assert bool(reading.scope) == ("stop" in reading.intents)


@pytest.mark.parametrize(
    ("at", "country", "zones", "days", "ends"),
    [
        # Tuesday: Wednesday, Thursday, Friday.
        ("2026-03-17T16:00Z", "US", ("America/New_York",), 3, "2026-03-21T04:00Z"),
        # Friday: Monday, Tuesday, Wednesday; summer time begins in between.
        ("2026-03-06T17:00Z", "US", ("America/New_York",), 3, "2026-03-12T04:00Z"),
        # 3 July stands for Independence Day 2026.
        ("2026-07-01T16:00Z", "US", ("America/New_York",), 2, "2026-07-07T04:00Z"),
        # It is already Saturday in Taipei.
        ("2026-03-20T17:00Z", "TW", ("Asia/Taipei",), 1, "2026-03-23T16:00Z"),
        # The later of two zones.
        ("2026-03-17T16:00Z", None, ("America/New_York", "America/Los_Angeles"), 1, "2026-03-19T07:00Z"),
        ("2026-03-17T16:00Z", "XX", (), 1, "2026-03-19T00:00Z"),
    ],
)
def test_business_days_are_those_of_the_place(at: str, country: str | None, zones: tuple[str, ...], days: int, ends: str) -> None:
    start = datetime.fromisoformat(at).astimezone(UTC)
    assert business_days_end(start, zones=zones, country=country, business_days=days) == datetime.fromisoformat(ends).astimezone(UTC)


def test_no_word_stands_under_two_intents() -> None:
    intents = reply_policy_in_force().lexicon.intents
    for one, other in itertools.combinations(intents, 2):
        assert not intents[one].alone & intents[other].alone, (one, other)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("  start:\n", "  begin:\n", "nobody handles begin"),
        ("courtesies: [\n", 'courtesies: [\n  "!?",\n', "never be found"),
        ("reviewed_on:", "reviewed:", "reviewed_on"),
    ],
)
def test_words_that_cannot_be_meant_are_refused(tmp_path: Path, before: str, after: str, reason: str) -> None:
    text = (WORDS / "en.yaml").read_text("utf-8")
    assert before in text
    (tmp_path / "en.yaml").write_text(text.replace(before, after), "utf-8")
    with pytest.raises(ConfigError, match=reason):
        read_lexicons(tmp_path)


def test_a_hold_of_no_days_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "replies.yaml"
    file.write_text(REPLIES_FILE.read_text("utf-8").replace("  hold_business_days: 3", "  hold_business_days: 0"), "utf-8")
    with pytest.raises(ConfigError, match="at least 1"):
        reply_policy(file)


@pytest.mark.parametrize(
    ("locale", "text", "intent"),
    [
        # A friend in Filipino, a stop in Spanish.
        ("fil", "Pare", "unclear"),
        ("es", "Pare", "stop"),
        # "But" in Portuguese, "more" in Spanish.
        ("es", "no mas mensajes", "stop"),
        ("pt", "nao tenho dinheiro mas pago sexta", "cannot_pay"),
        # Only its accents tell "right" from "stop".
        ("vi", "Đúng", "unclear"),
        ("vi", "Dừng", "stop"),
    ],
)
def test_a_word_is_read_in_the_language_of_whoever_writes_it(locale: str, text: str, intent: str) -> None:
    assert read_reply(text, reply_policy_in_force().lexicons.of(locale), setting=Setting(locale=locale)).intent == intent


def test_a_language_goes_by_several_names() -> None:
    lexicons = reply_policy_in_force().lexicons
    assert lexicons.of("zh-Hant") is lexicons.of("zh_Hans_CN")
    assert lexicons.of("tl-PH") is lexicons.of("fil")
    assert lexicons.of("xx") is lexicons.of(None)
    assert lexicons.languages == ("en", "es", "fil", "hi", "id", "ja", "ko", "pt", "sw", "th", "vi", "zh")
