"""What residents write back, in their language, as people write: short, informal, not always tidy.

In:   intent, locale, a draw in [0, 1), and for a promise its date.
Out:  a text.
Pure: yes. Invented here; none was written by a person about a debt.
"""

from __future__ import annotations

from datetime import date

_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    "zh-Hant": ("週一", "週二", "週三", "週四", "週五", "週六", "週日"),
    "zh-Hans": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}

# {weekday}, {day} and {month} are those of the promised date.
_TEXTS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "stop": ("STOP", "stop", "Please stop texting me", "Unsubscribe", "Stop calling and texting me."),
        "paid": ("I already paid", "Paid this morning, please check", "already paid it yesterday", "I paid. Check your records"),
        "promise": (
            "I will pay on {month}/{day}",
            "Can pay {weekday} {month}/{day}",
            "will send the money on {month}/{day} when I get paid",
        ),
        "cannot_pay": ("I can't pay right now, lost my job", "I don't have the money", "can not afford this, hours were cut"),
        "dispute": ("This amount is wrong", "I don't owe this", "I never took this loan, I dispute it"),
        "wrong_person": ("Wrong number", "You have the wrong person", "I don't know who that is, wrong number"),
        "call_me": ("Call me", "can someone call me please", "I'd rather talk, call me after 6"),
        "unclear": ("ok", "?", "who is this", "thanks", "👍"),
    },
    "es": {
        "stop": ("BAJA", "Alto", "STOP", "No me manden más mensajes", "dejen de escribirme"),
        "paid": ("Ya pagué", "ya lo pagué ayer", "Pagué esta mañana, revisen por favor"),
        "promise": ("Pago el {day}/{month}", "El {weekday} {day}/{month} pago", "les pago el {day}/{month} cuando cobre"),
        "cannot_pay": ("No puedo pagar ahora", "me quedé sin trabajo, no puedo pagar", "no tengo dinero este mes"),
        "dispute": ("El monto está mal", "Yo no debo eso", "No reconozco esa deuda"),
        "wrong_person": ("Número equivocado", "No soy esa persona", "se equivocaron de número"),
        "call_me": ("Llámenme", "me pueden llamar por favor", "prefiero que me llamen"),
        "unclear": ("ok", "?", "quién es", "gracias", "👍"),
    },
    "zh-Hant": {
        "stop": ("退訂", "取消訂閱", "不要再傳了", "STOP", "請停止發送"),
        "paid": ("我已經繳了", "昨天繳了", "已付款,請查收"),
        "promise": ("{month}月{day}日會繳", "我{month}/{day}({weekday})繳", "等發薪,{month}月{day}日繳"),
        "cannot_pay": ("現在沒辦法繳", "我失業了,繳不出來", "這個月沒錢"),
        "dispute": ("金額不對", "我沒有欠這筆", "這筆我有異議"),
        "wrong_person": ("你打錯了", "我不是這個人", "打錯號碼了"),
        "call_me": ("請打給我", "可以打電話給我嗎", "請回電"),
        "unclear": ("好", "?", "你是誰", "謝謝", "👍"),
    },
    "zh-Hans": {
        "stop": ("退订", "TD", "别再发了", "STOP", "请停止发送"),
        "paid": ("我已经还了", "昨天还了", "已付款,请查收"),
        "promise": ("{month}月{day}日还", "我{month}/{day}({weekday})还", "等发工资,{month}月{day}号还"),
        "cannot_pay": ("现在还不上", "我失业了,没钱还", "这个月没钱"),
        "dispute": ("金额不对", "我没有欠这笔钱", "我对这笔有异议"),
        "wrong_person": ("你打错了", "我不是这个人", "发错号码了"),
        "call_me": ("请给我打电话", "能打个电话给我吗", "请回电"),
        "unclear": ("好", "?", "你是谁", "谢谢", "👍"),
    },
}
# What a button may hand back that somebody with that intent taps.
TAPS: dict[str, tuple[str, ...]] = {
    "stop": ("stop",),
    "paid": ("paid",),
    "cannot_pay": ("more_time", "cannot_pay"),
    "dispute": ("dispute",),
    "wrong_person": ("not_me", "wrong_person"),
    "call_me": ("call_me",),
}
LOCALES = tuple(_TEXTS)
INTENTS = tuple(_TEXTS["en"])


def language_of(locale: str) -> str:
    """The language of ours that is nearest to a locale: script before country, English if nothing fits."""
    parts = locale.replace("_", "-").lower().split("-")
    if parts[0] == "zh":
        return "zh-Hant" if {"hant", "tw", "hk", "mo"} & set(parts) else "zh-Hans"
    return "es" if parts[0] == "es" else "en"


def reply(intent: str, locale: str, draw: float, on: date | None = None) -> str:
    """A text with that intent; a promise needs its date.

    Raises:
        KeyError: Not an intent that residents have.
    """
    language = language_of(locale)
    texts = _TEXTS[language][intent]
    text = texts[int(draw * len(texts))]
    if on is None:
        return text
    return text.format(weekday=_WEEKDAYS[language][on.weekday()], day=on.day, month=on.month)
