"""What people write about paying, in four languages: promise, cannot pay, dispute, call me, help; and dates and amounts."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.replies import reply_policy_in_force
from decisions.replies import Reading, Setting, read_reply
from decisions.reply_text import chinese_number

# A Tuesday.
TODAY = date(2026, 3, 17)


def read(text: str, locale: str = "en", currency: str | None = "USD") -> Reading:
    return read_reply(text, reply_policy_in_force().lexicons.of(locale), setting=Setting(today=TODAY, locale=locale, currency=currency))


SAID = {
    "promise": [
        "I'll pay Friday", "ill pay tmrw", "Friday", "ok friday", "on the 15th", "will pay 50 on the 5th", "Can I pay on the 20th instead?", "wait until friday please", "I will pay by the end of the month",
        "I'm going to pay you 200 next monday", "ｗｉｌｌ ｐａｙ ＄５０ ｔｏｍｏｒｒｏｗ", "sure, 25 dollars on March 30", "I get paid on the 30th, I'll pay then", "no problem, will pay friday", "I can't talk now, will pay friday", "Can I pay next week?",
        "pago el viernes", "el viernes", "mañana deposito 300", "pagaré $500 el 5 de abril", "a fin de mes pago", "les pago mañana", "quiero cancelar mi deuda el lunes", "cuando me paguen les pago", "voy a pagar el 20",
        "明天还", "我下周五还你五百块", "月底还", "5号还", "等發薪就還", "週五轉帳1,000元", "可以下周还吗", "累死了,明天还", "不好意思,明天還", "我会还的", "後天繳",
    ],
    "cannot_pay": [
        "I can't pay before Friday", "can't pay right now, lost my job", "I cannot pay this month", "I do not have any money", "I'm broke", "no money", "can i pay in installments?", "I need more time", "I don't get paid until Friday", "I can only pay $20",
        "I won't be able to pay until the 1st", "unable to make the payment", "got laid off", "I can’t really afford it", "I am not able to pay", "can I get an extension", "Is it possible to pay later?", "need a payment plan pls",
        "no puedo pagar antes del viernes", "No puedo pagar, perdí mi trabajo", "no tengo dinero hasta la quincena", "no puedo hacer el pago este mes", "necesito un plan de pagos", "estoy desempleada", "no me alcanza", "solo puedo pagar 200 pesos", "más tiempo por favor",
        "没钱", "失业了还不起", "这个月还不上", "分期可以吗", "我沒有錢繳", "能不能宽限几天", "手头有点紧", "暫時沒辦法還", "還沒領薪水", "可以延期嗎", "无力偿还",
    ],
    "dispute": [
        "I don't owe you anything", "this is not my debt", "the amount is wrong, I only owe $200", "I never took a loan", "I dispute this", "you overcharged me", "this is a scam", "I do not recognize this account", "prove it", "someone stole my identity",
        "no debo nada", "el monto está mal", "no reconozco esa deuda", "no pedí ningún préstamo", "es un fraude", "me cobraron dos veces", "esa deuda no es mía", "hay un error en mi cuenta",
        "我没借过钱", "金额不对", "我不欠你们钱", "利息算错了吧", "我沒有借這筆錢", "重複扣款了", "這筆不是我借的", "有異議", "诈骗",
    ],
    "call_me": [
        "call me", "please call me back", "call me tomorrow at 5", "can someone call me?", "I want to talk to a person", "give me a call", "llámenme", "llámame por favor", "¿me pueden llamar?", "quiero hablar con alguien", "請打給我", "给我打电话", "回电", "转人工",
    ],
    "help": ["help", "how do I pay?", "who is this?", "how much do I owe", "the link doesn't work", "I need help", "¿cómo pago?", "¿Quién es?", "¿cuánto debo?", "no entiendo", "怎么还款?", "你是谁", "欠多少", "幫我查一下", "連結打不開"],
    "unclear": ["", "yes", "ok", "👍", "no", "I will not pay", "you will pay for this", "不会还的", "不还", "no voy a pagar", "还在上班", "我不是故意的", "thanks", "el próximo mes", "don't stop", "别停", "no paren"],
    "danger": ["I want to kill myself, I can't pay", "mi mamá falleció, pago el viernes", "住院了,暂时还不了", "I broke my leg", "你们要逼死我吗", "no quiero seguir viviendo", "I will come and shoot you"],
    "stop": [
        "STOP, I can't pay", "don't call me, text me", "Stop calling me. I'll pay $75 on 4/1", "pls stpo txting me", "quítenme de su lista", "deje de llamar, ya pagué", "停止打電話,我星期五付", "别再给我打电话了", "不要傳簡訊給我", "我已经还清了,别再打电话", "can you take me off the list",
    ],
    "wrong_person": ["I'm not John", "you have the wrong person", "no soy Juan", "no es mi número", "我不是王先生", "你们打错电话了,我不认识他"],
    "paid": ["I paid $50 yesterday", "ya cancelé la deuda", "ya pagué ayer", "昨天还了", "已經繳清了", "paid on friday"],
}  # fmt: skip


@pytest.mark.parametrize(("intent", "text"), [(intent, text) for intent, texts in SAID.items() for text in texts])
def test_an_answer_means_what_it_says(intent: str, text: str) -> None:
    assert read(text).intent == intent


@pytest.mark.parametrize(
    ("text", "intents"),
    [
        ("I'll pay Friday, stop calling", ("stop", "promise")),
        ("don't text, call me", ("stop", "call_me")),
        ("I have paid but can't pay the rest", ("cannot_pay", "paid")),
        ("who are you? I never took a loan", ("dispute", "help")),
        ("這個月沒錢,下個月10號繳", ("cannot_pay", "promise")),
        ("dejen de mandarme mensajes, pago el 30", ("stop", "promise")),
        ("my mother passed away, I will pay next Friday", ("danger", "promise")),
        # A stranger's word is nobody's promise.
        ("wrong number, I'll pay nothing, call me", ("wrong_person",)),
    ],
)
def test_what_is_compatible_takes_effect_too(text: str, intents: tuple[str, ...]) -> None:
    assert read(text).intents == intents


@pytest.mark.parametrize(
    ("text", "locale", "on"),
    [
        ("today", "en", "2026-03-17"),
        ("pay tomorow", "en", "2026-03-18"),
        ("the day after tomorrow", "en", "2026-03-19"),
        ("Friday", "en", "2026-03-20"),
        ("tuesday", "en", "2026-03-24"),
        ("this Tuesday", "en", "2026-03-17"),
        ("next Friday", "en", "2026-03-27"),
        ("friday next week", "en", "2026-03-27"),
        ("on the 5th", "en", "2026-04-05"),
        ("by the 20", "en", "2026-03-20"),
        ("the 31st", "en", "2026-03-31"),
        ("on the fifth", "en", "2026-04-05"),
        ("March 30", "en", "2026-03-30"),
        ("30 march", "en", "2026-03-30"),
        ("Jan 5th, 2027", "en", "2027-01-05"),
        ("3/25", "en", "2026-03-25"),
        ("25/3", "en", "2026-03-25"),
        ("4/5/26", "en", "2026-04-05"),
        ("4/5", "es", "2026-05-04"),
        ("2026-04-01", "en", "2026-04-01"),
        ("in 3 days", "en", "2026-03-20"),
        ("in two weeks", "en", "2026-03-31"),
        ("in a month", "en", "2026-04-17"),
        ("end of the month", "en", "2026-03-31"),
        ("end of next month", "en", "2026-04-30"),
        ("mañana", "es", "2026-03-18"),
        ("mañana por la mañana", "es", "2026-03-18"),
        ("hoy en la mañana", "es", "2026-03-17"),
        ("pasado mañana", "es", "2026-03-19"),
        ("el próximo viernes", "es", "2026-03-20"),
        ("el viernes de la próxima semana", "es", "2026-03-27"),
        ("el 5 de abril", "es", "2026-04-05"),
        ("para el 15", "es", "2026-04-15"),
        ("en una semana", "es", "2026-03-24"),
        ("a fin de mes", "es", "2026-03-31"),
        ("明天", "zh-Hans", "2026-03-18"),
        ("后天", "zh-Hans", "2026-03-19"),
        ("大後天", "zh-Hant", "2026-03-20"),
        ("周五", "zh-Hans", "2026-03-20"),
        ("下周五", "zh-Hans", "2026-03-27"),
        ("下下週一", "zh-Hant", "2026-03-30"),
        ("这个星期六", "zh-Hans", "2026-03-21"),
        ("禮拜天", "zh-Hant", "2026-03-22"),
        ("5号", "zh-Hans", "2026-04-05"),
        ("二十號", "zh-Hant", "2026-03-20"),
        ("3月25日", "zh-Hant", "2026-03-25"),
        ("三月二十五号", "zh-Hans", "2026-03-25"),
        ("下个月5号", "zh-Hans", "2026-04-05"),
        ("三天后", "zh-Hans", "2026-03-20"),
        ("兩個星期後", "zh-Hant", "2026-03-31"),
        ("月底", "zh-Hans", "2026-03-31"),
        ("２０２６年４月１日", "zh-Hant", "2026-04-01"),
        # What is over, where it was paid.
        ("I paid on Friday", "en", "2026-03-13"),
        ("I paid on the 5th", "en", "2026-03-05"),
        ("paid yesterday", "en", "2026-03-16"),
        ("pagué el lunes", "es", "2026-03-16"),
        ("昨天还了", "zh-Hans", "2026-03-16"),
        ("三天前还了", "zh-Hans", "2026-03-14"),
        # The promise's date counts, not that of what cannot be.
        ("can't pay today, will pay Friday", "en", "2026-03-20"),
        # None of these names a day.
        ("next week", "en", None),
        ("I'll pay soon", "en", None),
        ("I called 3 times", "en", None),
        ("30/30", "en", None),
        ("la próxima semana", "es", None),
        ("下个月", "zh-Hans", None),
        ("24/7", "en", None),
        ("i may pay", "en", None),
    ],
)
def test_a_date_is_the_one_that_is_named(text: str, locale: str, on: str | None) -> None:
    assert read(text, locale).on == (None if on is None else date.fromisoformat(on))


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("I'll pay $50", "USD", 5000),
        ("$1,000.50", "USD", 100050),
        ("1.500,50 pesos", "MXN", 150050),
        ("$ 1.500", "COP", 150000),
        ("50 bucks", "USD", 5000),
        ("fifty dollars", "USD", 5000),
        ("two hundred and fifty dollars", "USD", 25000),
        ("pay 50 on the 5th", "USD", 5000),
        ("pay 2k friday", "USD", 200000),
        ("RM50", "MYR", 5000),
        ("RM 50.50", "MYR", 5050),
        ("RM 50", "USD", None),
        ("500元", "CNY", 50000),
        ("５００元", "TWD", 50000),
        ("五百块", "CNY", 50000),
        ("还三千五", "CNY", 350000),
        ("一万二千元", "CNY", 1200000),
        ("NT$1,200", "TWD", 120000),
        ("quinientos pesos", "MXN", 50000),
        ("dos mil pesos", "MXN", 200000),
        ("pago 500 el 5 de abril", "MXN", 50000),
        ("¥5000", "JPY", 5000),
        ("I paid 120.50 yesterday", "USD", 12050),
        ("$50", None, 5000),
        ("can't pay $500 but can pay $50 Friday", "USD", 5000),
        # No money.
        ("call me at 5", "USD", None),
        ("pay at 5", "USD", None),
        ("pay in 3 installments", "USD", None),
        ("call 2125550100", "USD", None),
        ("pay on 3/25", "USD", None),
        ("my 2 kids", "USD", None),
        ("te pago el 24", "MXN", None),
        ("下午5点还", "CNY", None),
        ("分3期还", "CNY", None),
        ("$0", "USD", None),
    ],
)
def test_an_amount_is_money_in_minor_units(text: str, currency: str | None, minor: int | None) -> None:
    assert read(text, "en", currency).amount_minor == minor


def test_without_the_day_of_the_reply_no_date_is_told() -> None:
    reading = read_reply("I'll pay Friday", reply_policy_in_force().lexicon)
    assert (reading.intent, reading.on) == ("promise", None)


@pytest.mark.parametrize(
    ("written", "number"), [("十", 10), ("二十五", 25), ("两百", 200), ("二百五", 250), ("二百零五", 205), ("一万二", 12000), ("元", None)]
)
def test_chinese_figures_are_numbers(written: str, number: int | None) -> None:
    assert chinese_number(written) == number


@given(
    text=st.text(max_size=120),
    locale=st.sampled_from(["en", "es", "zh-Hans", "zh-Hant", "", "xx"]),
    currency=st.sampled_from(["USD", "JPY", "XXX", None]),
)
def test_whatever_is_written_is_read(text: str, locale: str, currency: str | None) -> None:
    reading = read(text, locale, currency)
    assert reading.amount_minor is None or reading.amount_minor > 0
