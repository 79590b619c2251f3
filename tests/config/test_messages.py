"""The texts that ship: whole, humane, short, in every language."""

from __future__ import annotations

import shutil
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from config.load import ConfigError
from config.message_files import MESSAGES, message_body, message_texts, texts_of, words_hash
from config.replies import reply_policy
from config.strategy_files import stages_of, strategy, strategy_names
from decisions.messages import Text, Words, gaps, money_text, render
from decisions.promises import StillPromised
from decisions.replies import read_reply
from decisions.segments import measure
from decisions.statements import Line, Statement

TEXTS = message_texts()
LOCALES = ("en", "es", "fil", "hi", "id", "ja", "ko", "pt", "sw", "th", "vi", "zh-Hans", "zh-Hant")
CURRENCY = {
    "en": "USD",
    "es": "MXN",
    "fil": "PHP",
    "hi": "INR",
    "id": "IDR",
    "ja": "JPY",
    "ko": "KRW",
    "pt": "BRL",
    "sw": "KES",
    "th": "THB",
    "vi": "VND",
    "zh-Hans": "CNY",
    "zh-Hant": "TWD",
}
COLLECTION = ("early_reminder", "early_need_time", "onboarding", "mid_talk", "late_situation", "recovery_open_door")
EDUCATION = tuple(sorted({name for name, _ in TEXTS.by_key if name.startswith("education_")}))
# Where others read along: a lock screen, a list of mail.
SEEN_BY_OTHERS = {"push": ("title", "body"), "email": ("title",), "voicemail": ("body",)}
# Texts of one country are read like their language's.
LANGUAGES = {text.locale: next(tag for tag in LOCALES if text.locale in {tag, f"{tag}-US"}) for text in TEXTS.by_key.values()}
# The field's words, and what threatens or shames: no borrower reads them (DOMAIN.md).
FORBIDDEN = {
    "en": (
        "delinquen",
        "default",
        "debt",
        "collect",
        "recover",
        "overdue",
        "late",
        "must",
        "immediately",
        "legal",
        "court",
        "final",
        "urgent",
    ),
    "es": ("moros", "mora ", "deuda", "deudor", "cobran", "adeud", "vencid", "legal", "jur", "urgente", "inmediat", "debe "),
    "zh-Hans": ("逾期", "催收", "催", "欠款", "失信", "违约", "债", "法律", "法院", "律师", "依法", "必须", "立即", "最后通"),
    "zh-Hant": ("逾期", "催收", "催", "欠款", "失信", "違約", "債", "法律", "法院", "律師", "依法", "必須", "立即", "最後通"),
    "fil": ("utang", "overdue", "delinquen", "kaso", "korte", "abogado", "agad-agad", "huling babala", "legal"),
    "hi": ("कर्ज़दार", "डिफ़ॉल्ट", "डिफॉल्ट", "वसूली", "कानूनी", "अदालत", "तुरंत", "अंतिम चेतावनी"),
    "id": ("utang", "hutang", "tunggak", "penagih", "jatuh tempo", "segera", "hukum", "pengadilan", "wajib", "terakhir kali"),
    "ja": ("滞納", "延滞", "督促", "債務", "債権", "回収", "法的", "至急", "直ちに", "必ず"),
    "ko": ("연체", "체납", "추심", "채무", "채권", "독촉", "법적", "즉시", "반드시", "최후"),
    "pt": ("dívida", "divida", "inadimpl", "cobran", "devedor", "vencid", "atrasad", "judicial", "jurídic", "urgente", "imediat"),
    "sw": ("deni", "mdaiwa", "kuchelewa", "mahakama", "kisheria", "haraka", "lazima", "onyo"),
    "th": ("หนี้", "ค้างชำระ", "ทวง", "ผิดนัด", "กฎหมาย", "ศาล", "ด่วน", "ทันที", "ครั้งสุดท้าย"),
    "vi": ("nợ", "quá hạn", "đòi", "khởi kiện", "pháp", "tòa", "ngay lập tức", "khẩn", "lần cuối"),
}
# Words that belong to the other side of the strait.
FOREIGN = {"zh-Hant": ("短信", "账", "帐户", "信息", "退订", "软件"), "zh-Hans": ("簡訊", "訊息", "繳", "帳戶", "回覆")}
SHORT_ALPHABET = {"en", "es", "fil", "id", "pt", "sw"}
SEGMENTS_MAX = dict.fromkeys(SHORT_ALPHABET, 2) | {"hi": 4, "ja": 3, "ko": 3, "th": 4, "vi": 4, "zh-Hans": 3, "zh-Hant": 3}
# What would tell a bystander of a payment.
TELLS = {
    "en": ("pay", "loan", "due", "owe"),
    "es": ("pago", "pagar", "crédito", "fecha de"),
    "fil": ("bayad", "loan", "utang"),
    "hi": ("भुगतान", "किस्त", "लोन", "बाकी"),
    "id": ("bayar", "pinjaman"),
    "ja": ("支払", "ローン", "入金"),
    "ko": ("납부", "대출", "연체"),
    "pt": ("pagamento", "pagar", "crédito"),
    "sw": ("malipo", "lipa", "mkopo"),
    "th": ("ชำระ", "ค่างวด", "สินเชื่อ"),
    "vi": ("thanh toán", "khoản vay", "kỳ trả"),
    "zh-Hans": ("款", "借", "还", "付"),
    "zh-Hant": ("款", "貸", "繳", "付"),
}


# Of the amount that the examples name.
STATEMENT = Statement(
    reference="W-1",
    currency="USD",
    disputed_minor=0,
    lines=(
        Line(
            due_on=date(2026, 11, 23),
            principal_minor=1_234_500,
            interest_minor=0,
            fee_minor=0,
            penalty_minor=0,
            paid_minor=0,
            open_minor=1_234_500,
        ),
    ),
    opened_on=date(2026, 5, 4),
    apr_basis_points=1_500,
)


def example(text: Text, channel: str) -> str:
    """The text as a borrower would read it, with a long name and amount."""
    filled = render(
        text,
        channel=channel,
        creditor_name="Lantern Wallet TW",
        amount_minor=1_234_500,
        currency=CURRENCY[LANGUAGES[text.locale]],
        due_on=date(2026, 11, 23),
        link="https://pay.lantern.example/" + "x" * 22,
        as_of=date(2026, 11, 24),
        statements=[STATEMENT],
        code="123456",
        creditor_licence="00.000.000/0001-00",
        promised=StillPromised(due_on=date(2026, 11, 23), amount_minor=1_234_500, currency=CURRENCY[LANGUAGES[text.locale]]),
    )
    return f"{filled.title} {filled.body}".strip()


@pytest.mark.parametrize("message", sorted({message for message, _ in TEXTS.by_key}))
def test_every_message_exists_in_every_language(message: str) -> None:
    found = {locale for name, locale in TEXTS.by_key if name == message}
    assert found >= set(LOCALES)


@pytest.mark.parametrize(
    "text",
    [text for text in TEXTS.by_key.values() if "first_party" in text.creditor_roles],  # a law makes a collector say what it is
    ids=lambda text: f"{text.message}-{text.locale}",
)
def test_no_text_threatens_shames_or_speaks_the_fields_words(text: Text) -> None:
    for channel in text.words:
        words = example(text, channel).lower()
        assert [word for word in FORBIDDEN[LANGUAGES[text.locale]] if word in words] == []
        assert [word for word in FOREIGN.get(LANGUAGES[text.locale], ()) if word in words] == []
        assert "!" not in words
        assert "！" not in words


@pytest.mark.parametrize("text", TEXTS.by_key.values(), ids=lambda text: f"{text.message}-{text.locale}")
def test_a_text_message_is_short(text: Text) -> None:
    if text.says("sms"):
        assert measure(example(text, "sms")).segments <= SEGMENTS_MAX[LANGUAGES[text.locale]]


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("message", COLLECTION)
def test_a_reminder_names_lender_amount_date_link_stop_and_more_time(message: str, locale: str) -> None:
    text = TEXTS.text(message, locale)
    words = example(text, "sms").lower()
    more_time = {
        "en": ("more time",),
        "es": ("otra fecha",),
        "fil": ("palugit",),
        "hi": ("और समय",),
        "id": ("tambahan waktu",),
        "ja": ("期日のご相談",),
        "ko": ("연장",),
        "pt": ("outra data", "mude a data"),
        "sw": ("muda zaidi",),
        "th": ("ขอเวลาเพิ่ม",),
        "vi": ("gia hạn",),
        "zh-Hans": ("更多时间",),
        "zh-Hant": ("多一點時間",),
    }[locale]
    assert any(way in words for way in more_time)
    year = "2569" if locale == "th" else "2026"
    amount = money_text(1_234_500, CURRENCY[locale], text.writes_like, short=locale in SHORT_ALPHABET)
    for part in ("lantern wallet tw", amount.lower(), "23", year, "https://pay.lantern.example/", text.stop.lower()):
        assert part in words


@pytest.mark.parametrize("text", TEXTS.by_key.values(), ids=lambda text: f"{text.message}-{text.locale}")
def test_what_others_see_or_hear_reveals_no_payment(text: Text) -> None:
    """A lock screen, a list of mail, a machine that answers: neither the amount, nor the day, nor that there is one."""
    for channel, parts in SEEN_BY_OTHERS.items():
        if text.says(channel):
            words = " ".join(getattr(text.words[channel], part) for part in parts)
            assert gaps(words) <= {"creditor"}
            assert [tell for tell in TELLS[LANGUAGES[text.locale]] if tell in words.lower()] == []


@pytest.mark.parametrize("locale", sorted(SHORT_ALPHABET))
def test_text_messages_keep_to_the_short_alphabet_where_the_language_can(locale: str) -> None:
    """Also where the currency's own sign would not: ₱ gives way to PHP."""
    found = [
        text.message
        for text in TEXTS.by_key.values()
        if text.locale == locale and text.says("sms") and measure(example(text, "sms")).encoding != "GSM-7"
    ]
    assert found == []


def test_the_stop_word_stands_in_the_language_of_the_text() -> None:
    assert {locale: TEXTS.text("help", locale).stop for locale in LOCALES} == {
        "en": "STOP",
        "es": "BAJA",
        "fil": "TIGIL",
        "hi": "रोकें",
        "id": "BERHENTI",
        "ja": "停止",
        "ko": "중지",
        "pt": "PARAR",
        "sw": "ACHA",
        "th": "หยุด",
        "vi": "DUNG",
        "zh-Hans": "退订",
        "zh-Hant": "停止",
    }


@pytest.mark.parametrize("locale", LOCALES)
def test_the_stop_word_that_a_text_names_is_read_as_a_stop(locale: str) -> None:
    """Nobody is told a word that then does nothing."""
    word = TEXTS.text("early_reminder", locale).stop
    assert read_reply(word, reply_policy().lexicon).intent == "stop"


def test_every_step_of_the_ladder_has_its_text_in_every_language() -> None:
    ladders = [strategy(name, stage) for name in strategy_names() for stage in stages_of(name)]
    assert [
        (step.message, locale)
        for ladder in ladders
        for step in ladder.steps
        for channel in step.channels
        for locale in LOCALES
        if TEXTS.locale_for(locale, step.message, channel, "first_party") != locale
    ] == []


def test_every_step_says_what_its_stage_is_for() -> None:
    """A text is judged by the purpose that its attempt names, so both must be the same."""
    assert [
        (ladder.stage, step.message)
        for ladder in (strategy(name, stage) for name in strategy_names() for stage in stages_of(name))
        for step in ladder.steps
        for locale in LOCALES
        if TEXTS.text(step.message, locale).purpose != ladder.purpose
    ] == []


CANNOT = {
    "en": ("hard to pay",),
    "es": ("no puede pagar",),
    "fil": ("hirap",),
    "hi": ("मुश्किल",),
    "id": ("sulit",),
    "ja": ("難しい",),
    "ko": ("어려",),
    "pt": ("apertado",),
    "sw": ("ni vigumu kulipa",),
    "th": ("ไม่สะดวก",),
    "vi": ("khó",),
    "zh-Hans": ("不方便还款",),
    "zh-Hant": ("不方便繳款",),
}
NOT_MINE = {
    "en": ("not yours",),
    "es": ("no es suyo",),
    "fil": ("hindi po sa inyo", "hindi sa inyo"),
    "hi": ("आपकी नहीं",),
    "id": ("bukan milik anda",),
    "ja": ("お心当たりのない",),
    "ko": ("본인 것이 아니",),
    "pt": ("engano",),
    "sw": ("si yako",),
    "th": ("ไม่ใช่ของท่าน",),
    "vi": ("nhầm người",),
    "zh-Hans": ("并非您本人",),
    "zh-Hant": ("不是您的款項",),
}


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    "message", ["pre_due_reminder", "early_reminder", "onboarding", "mid_talk", "late_situation", "recovery_open_door"]
)
def test_a_text_message_lets_people_say_i_cannot_it_is_not_mine_and_stop(message: str, locale: str) -> None:
    text = TEXTS.text(message, locale)
    words = example(text, "sms").lower()
    assert any(way in words for way in CANNOT[locale])
    assert any(way in words for way in NOT_MINE[locale])
    assert text.stop.lower() in words


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("message", COLLECTION)
def test_a_collection_message_has_its_words_on_every_channel_that_a_stage_may_use(message: str, locale: str) -> None:
    text = TEXTS.text(message, locale)
    assert {"sms", "push", "in_app", "whatsapp", "messenger", "rcs", "voice", "email"} <= set(text.words)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("message", COLLECTION)
def test_what_a_voice_says_names_the_payment_and_asks_for_nothing(message: str, locale: str) -> None:
    """A promise made to a machine binds less (SCIENCE.md A2), and a link cannot be heard."""
    assert gaps(TEXTS.text(message, locale).words["voice"].body) == {"amount", "due_on"}


@pytest.mark.parametrize("locale", LOCALES)
def test_a_reminder_before_the_due_date_names_no_amount(locale: str) -> None:
    text = TEXTS.text("pre_due_reminder", locale)
    assert "amount" not in gaps(text.words["sms"].body)
    assert "due_on" in gaps(text.words["sms"].body)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("message", EDUCATION)
def test_what_teaches_asks_for_nothing_and_speaks_of_no_one_payment(message: str, locale: str) -> None:
    text = TEXTS.text(message, locale)
    assert text.purpose == "education"
    assert {gap for words in text.words.values() for gap in gaps(words.title) | gaps(words.body)} <= {"creditor", "stop"}


@pytest.mark.parametrize("locale", LOCALES)
def test_the_reminder_of_a_promise_names_its_day_and_what_is_open_of_it(locale: str) -> None:
    text = TEXTS.text("promise_reminder", locale)
    assert gaps(text.words["sms"].body) >= {"promised_on", "promised_amount", "link", "stop"}
    amount = money_text(1_234_500, CURRENCY[locale], text.writes_like, short=locale in SHORT_ALPHABET)
    assert amount in example(text, "sms")


@pytest.mark.parametrize("locale", LOCALES)
def test_the_formal_notice_says_what_is_owed_and_every_way_out_in_every_language(locale: str) -> None:
    text = TEXTS.text("formal_notice", locale)
    for channel in ("email", "letter"):
        assert gaps(text.words[channel].body) >= {"creditor", "amount", "due_on", "as_of", "breakdown", "link"}
    assert "{stop}" in text.words["email"].body
    assert text.breakdown is not None


def test_what_a_collector_must_say_in_one_country_is_said_by_collectors_and_there_alone() -> None:
    """US-REGF-MINIMIRANDA: a lender in its own name must not say it, and no other country's readers need to read it."""
    for message, channel in (("help", "sms"), ("correction", "sms"), ("callback", "call")):
        found = {
            (role, locale): TEXTS.locale_for(locale, message, channel, role)
            for role in ("first_party", "third_party")
            for locale in ("en-US", "es-US", "en-PH", "es-MX")
        }
        assert {reader for reader, locale in found.items() if locale in {"en-US", "es-US"}} == {
            ("third_party", "en-US"),
            ("third_party", "es-US"),
        }
        assert None not in found.values()


# Drafts in every language.
READ_BY_NOBODY_YET = frozenset({"plan_agreed", "plan_reminder", "case_acknowledged", "case_answered"})


def test_a_language_that_nobody_has_read_yet_is_a_draft() -> None:
    """Whoever turns one into a text for live mode has had it read by somebody who reads the language, and changes this line."""
    drafts = {text.locale for text in TEXTS.by_key.values() if text.draft and text.message not in READ_BY_NOBODY_YET}
    assert drafts == {"fil", "hi", "id", "ja", "ko", "pt", "sw", "th", "vi"}
    assert {text.draft for text in TEXTS.by_key.values() if text.message in READ_BY_NOBODY_YET} == {True}


def test_a_text_changes_its_version_with_its_locales_words(tmp_path: Path) -> None:
    before = _folder(tmp_path / "a", SMS, stop="STOP")
    after = _folder(tmp_path / "b", SMS, stop="QUIT")
    first, second = message_texts(before).text("m", "en"), message_texts(after).text("m", "en")
    assert first.version != second.version
    assert "QUIT" in message_body(second, after)


SMS = 'sms: "{creditor} {amount} {due_on} {link} {stop}"'


def _folder(folder: Path, lines: str, *, stop: str = "STOP", locale: str = "en", purpose: str = "collection") -> Path:
    (folder / "m").mkdir(parents=True)
    (folder / "locales.yaml").write_text(f"en: {{writes_like: en-US, stop: {stop}}}\n")
    head = f"purpose: {purpose}\ncreditor_roles: [first_party]\napproved: true\n"
    (folder / "m" / f"{locale}.yaml").write_text(head + lines + "\n")
    return folder


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('sms: "{creditor} {amount} {due_on} {link}"', "must name stop"),
        ('sms: "{creditor} {amount} {due_on} {link} {stop} {name}"', "unknown gap"),
        ("approved_until: 2027-01-01", "says nothing on any channel"),
        ("push_title: hello", "come together"),
        (SMS + "\npush_body: hello", "come together"),
        (SMS + "\ntelegram: hello", "unknown field"),
        (SMS + "\napproved: true", "given twice"),
    ],
)
def test_a_text_that_is_not_whole_is_refused_with_its_place(tmp_path: Path, lines: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        message_texts(_folder(tmp_path, lines))
    assert refused.value.file.endswith("m/en.yaml")


WHATSAPP = 'whatsapp: "{creditor} {amount} {due_on} {link} {stop}"'
NAMED = "[creditor, amount, due_on, link, stop]"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('whatsapp: "{creditor} {amount} {due_on} {link}"', "whatsapp: a collection text must name stop"),
        ('email_subject: "{creditor}"\nemail_body: "{creditor} {link}"', "email_body: a collection text must name amount, due_on, stop"),
        ('email_body: "{creditor} {amount} {due_on} {link} {stop}"', "email_subject and email_body come together"),
        ('letter_title: "{creditor}"', "letter_title and letter_body come together"),
        ('in_app_body: "{amount}"', "in_app_title and in_app_body come together"),
        ('push_title: "{creditor}"\npush_body: "{amount}"', "push_body: others see or hear it too"),
        ('voice: "{creditor}"\nvoicemail: "{creditor} {amount}"', "voicemail: others see or hear it too"),
        ('voicemail: "{creditor}"', "says nothing on any channel"),
        (SMS + '\nvoicemail: "{creditor}"', "there is no voice"),
        (SMS + f"\nregistered: {{whatsapp: {{id: HX1, words: 000000000000, variables: {NAMED}}}}}", "no words for whatsapp"),
        (WHATSAPP + "\nregistered: {whatsapp: {id: HX1, words: 000000000000, variables: [creditor]}}", "must name each gap"),
        (WHATSAPP + f"\nregistered: {{whatsapp: {{id: HX1, words: 000000000000, variables: {NAMED}}}}}", "other words were registered"),
        (WHATSAPP + "\nregistered: {whatsapp: {words: 000000000000}}", "required"),
    ],
)
def test_words_of_a_channel_that_are_not_whole_are_refused(tmp_path: Path, lines: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        message_texts(_folder(tmp_path, lines))


def test_words_are_kept_by_channel_and_a_registration_holds_for_them_alone(tmp_path: Path) -> None:
    words = words_hash(Words(body="{creditor} {amount} {due_on} {link} {stop}"))
    registered = f"registered: {{whatsapp: {{id: HX1, words: {words}, variables: [stop, link, due_on, amount, creditor]}}}}"
    said = 'voice: "{creditor}"\nvoicemail: "{creditor}"\nletter_title: "{creditor}"\nletter_body: "{creditor} {amount} {due_on} {link}"'
    text = message_texts(_folder(tmp_path / "a", f"{WHATSAPP}\n{said}\n{registered}")).text("m", "en")
    assert sorted(text.words) == ["letter", "voice", "voicemail", "whatsapp"]
    assert text.words["letter"] == Words(title="{creditor}", body="{creditor} {amount} {due_on} {link}")
    assert text.registered["whatsapp"].variables[0] == "stop"
    # One word more, and the provider would show another text than the one that was approved here.
    with pytest.raises(ConfigError, match=r"other words were registered.+write words: [0-9a-f]{12}"):
        message_texts(_folder(tmp_path / "b", WHATSAPP.replace("{stop}", "{stop}.") + f"\n{registered}"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('sms: "{breakdown}"', "an account is shown in email_body or letter_body"),
        ('letter_title: "a"\nletter_body: "{breakdown}"', "with the words of `breakdown`"),
        ('letter_title: "a"\nletter_body: "{amount}"', "must name creditor, due_on, link"),
    ],
)
def test_an_account_is_shown_where_it_can_be_and_a_letter_says_all_that_it_must(tmp_path: Path, body: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        message_texts(_folder(tmp_path, body))


def test_a_notice_shows_the_whole_account_on_every_channel(tmp_path: Path) -> None:
    shutil.copytree(MESSAGES, tmp_path / "messages")
    notice = tmp_path / "messages" / "formal_notice" / "en.yaml"
    notice.write_text(notice.read_text("utf-8").replace("{breakdown}", "", 1), "utf-8")
    with pytest.raises(ConfigError, match=r"formal_notice/en\.yaml.*a notice must name breakdown"):
        message_texts(tmp_path / "messages")


def test_old_files_keep_their_version() -> None:
    """An approval and every decision name a text by it."""
    text = TEXTS.text("early_reminder", "es")
    file = (MESSAGES / "early_reminder" / "es.yaml").read_text("utf-8")
    locale = '# {"writes_like":"es-MX","stop":"BAJA"}\n'
    assert text.version == sha256((file + locale).encode()).hexdigest()


def test_a_text_in_a_locale_that_nobody_described_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"not in locales\.yaml"):
        message_texts(_folder(tmp_path, SMS, locale="fr"))


def test_a_way_to_write_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path, SMS)
    (folder / "locales.yaml").write_text("en: {writes_like: xx-YY, stop: STOP}\n")
    with pytest.raises(ConfigError, match="no locale that is known"):
        message_texts(folder)


def test_the_shipped_folder_is_the_one_that_is_read() -> None:
    assert {path.parent.name for path in MESSAGES.glob("*/*.yaml")} == {message for message, _ in TEXTS.by_key}


def test_a_reader_stands_under_one_shared_language_at_most(tmp_path: Path) -> None:
    folder = _folder(tmp_path, SMS)
    en, es = "en: {writes_like: en-US, stop: STOP, read_by: [sw-KE]}", "es: {writes_like: es-MX, stop: BAJA, read_by: [sw-KE]}"
    (folder / "locales.yaml").write_text(f"{en}\n{es}\n")
    with pytest.raises(ConfigError, match="sw-KE stands under en already"):
        message_texts(folder)


def test_a_shared_language_is_part_of_the_version_and_is_kept_with_the_text(tmp_path: Path) -> None:
    """A decision is made again by what was said of its readers then."""
    folder = _folder(tmp_path, SMS)
    before = message_texts(folder).text("m", "en")
    (folder / "locales.yaml").write_text("en: {writes_like: en-US, stop: STOP, read_by: [sw-KE]}\n")
    after = message_texts(folder).text("m", "en")
    assert before.version != after.version
    kept = texts_of({"m/en": message_body(after, folder)}, tmp_path)
    assert kept.locale_for("sw-KE", "m", "sms", "first_party") == "en"
    assert kept.text("m", "en") == after


@pytest.mark.parametrize(("says", "approved", "draft"), [("true", True, False), ("draft", True, True), ("false", False, False)])
def test_a_file_says_ready_draft_or_withdrawn(tmp_path: Path, says: str, *, approved: bool, draft: bool) -> None:
    folder = _folder(tmp_path, SMS)
    file = folder / "m" / "en.yaml"
    file.write_text(file.read_text().replace("approved: true", f"approved: {says}"))
    text = message_texts(folder).by_key["m", "en"]
    assert (text.approved, text.draft) == (approved, draft)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    folder = _folder(tmp_path, SMS)
    first = message_texts(folder).text("m", "en")
    file = folder / "m" / "en.yaml"
    file.write_text(file.read_text().replace("{amount}", "exactly {amount}"))
    assert message_texts(folder).text("m", "en").words != first.words
