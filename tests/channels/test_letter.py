"""Letters: a real PDF and a real manifest in a folder; what is known of a letter when the disk, or the process, fails in between."""

from __future__ import annotations

import asyncio
import errno
import json
import multiprocessing
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from pypdf import PdfReader

from channels import (
    AccountHalted,
    BadAddress,
    ChannelError,
    Envelope,
    FateUnknown,
    ForeignPermit,
    Message,
    NeverWorks,
    NotMarked,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
)
from channels.letter import MANIFEST, Letters, tokens_posted
from channels.paper import Paper, write_pdf
from config.settings import Settings
from decisions.blocks import blocks, table_lines

TOKEN = "0b0f7e0e-2a4c-4a3e-9b1e-1a2b3c4d5e6f"  # noqa: S105  # of an attempt, no secret
OTHER = "1b0f7e0e-2a4c-4a3e-9b1e-1a2b3c4d5e6f"
NAME = "Nobody Atall"
HEAD = ["Due", "Principal", "Still owed"]
TABLE = table_lines(HEAD, [["Mar 1, 2026", "$1,100.00", "$1,068.07"], ["Total", "", "$1,068.07"]])
HOME = Envelope(to=(NAME, "1 Example Street", "New York NY 10001"), sender=("Lantern Wallet", "PO Box 1"), country="US", is_abroad=False)
# The same few words in each language: what matters is that they come out of the PDF as they went in.
SAYS = {
    "en": "Hello, here is how your account stands.",
    "es": "Hola, así está su cuenta.",
    "pt": "Olá, esta é a situação da sua conta.",
    "vi": "Xin chào, đây là tình trạng tài khoản của quý khách.",
    "fil": "Kumusta, ito po ang lagay ng inyong account.",
    "id": "Halo, berikut keadaan akun Anda.",
    "sw": "Habari, hivi ndivyo akaunti yako ilivyo.",
    "zh-Hans": "您好，这是您账户的情况。",
    "zh-Hant": "您好，這是您帳戶的情況。",
    "ja": "お客様の口座の状況をお知らせします。",
    "ko": "고객님 계좌의 상태를 알려 드립니다.",
    "hi": "नमस्ते, आपके खाते की स्थिति यह है।",
    "th": "สวัสดี นี่คือสถานะบัญชีของคุณ",
}


def message(**changes: Any) -> Message:
    given: dict[str, Any] = {
        "attempt_id": 7,
        "to": "1 Example Street\nNew York NY 10001",
        "sender": "Lantern Wallet; PO Box 1",
        "title": "How your account stands",
        "body": f"Hello,\n\n{TABLE}\n\nPay or ask for time: https://pay.lantern.example/b/{TOKEN}",
        "token": TOKEN,
        "callback_url": None,
        "valid_seconds": 600,
        "locale": "en",
        "envelope": HOME,
    }
    return Message(**{**given, **changes})


def permit(*, seconds: float = 5) -> Permit:
    now = datetime.now(UTC)
    return Permit(attempt_id=7, issued_at=now, call_deadline=now + timedelta(seconds=seconds), called_at=now, rules=(), packs=())


def send(folder: Path, *messages: Message, leave: Permit | None = None, **more: Any) -> list[Receipt | ChannelError]:
    """Send through one channel, one after the other; errors as values."""

    async def run() -> list[Receipt | ChannelError]:
        channel = Letters(Settings(letter_outbox=folder, **more))
        outcomes: list[Receipt | ChannelError] = []
        for one in messages or (message(),):
            try:
                outcomes.append(await channel.send(one, leave or permit()))
            except ChannelError as error:
                outcomes.append(error)
        await channel.close()
        return outcomes

    return asyncio.run(run())


def manifest(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


def words(pdf: bytes) -> str:
    """A PDF's text layer as Chromium's engine reads it, on one line."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return " ".join(" ".join(page.get_textpage().get_text_range() for page in document).split())
    finally:
        document.close()


def stands_in(text: str, found: str) -> bool:
    """Whether a text was read; where Thai marks overlap, the engine repeats the letter before them."""
    return re.search(".{0,2}".join(re.escape(letter) for letter in text), found) is not None


def test_a_letter_is_a_pdf_and_a_line_for_the_print_shop(tmp_path: Path) -> None:
    assert send(tmp_path) == [Receipt(provider="print_shop", provider_id=TOKEN, status="queued", segments=None)]
    (ticket,) = manifest(tmp_path)
    pdf = (tmp_path / ticket["file"]).read_bytes()
    assert ticket["file"] == f"{TOKEN}.pdf"
    assert {name: ticket[name] for name in ("country", "class", "service", "paper", "pages", "language", "sample")} == {
        "country": "US", "class": "domestic", "service": "ordinary", "paper": "us-letter", "pages": 1, "language": "en", "sample": True,
    }  # fmt: skip
    said = words(pdf)
    for part in (
        NAME,
        "1 Example Street",
        "New York NY 10001",
        "How your account stands",
        "Mar 1, 2026 $1,100.00 $1,068.07",
        TOKEN,
        "SAMPLE",
    ):
        assert part in said


def test_names_of_files_and_the_manifest_say_nothing_of_a_person(tmp_path: Path) -> None:
    send(tmp_path)
    shown = " ".join(path.name for path in tmp_path.iterdir()) + (tmp_path / MANIFEST).read_text()
    assert not [part for part in (NAME, "Nobody", "Example", "10001", "New York") if part in shown]


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    send(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_abroad_goes_as_such(tmp_path: Path) -> None:
    abroad = replace(HOME, to=(NAME, "1 Rue", "75001 PARIS", "FRANCE"), country="FR", is_abroad=True)
    send(tmp_path, message(envelope=abroad), letter_service="registered")
    (ticket,) = manifest(tmp_path)
    assert (ticket["class"], ticket["country"], ticket["paper"], ticket["service"]) == ("international", "FR", "a4", "registered")


@pytest.mark.parametrize("locale", SAYS)
def test_every_language_can_be_read_by_a_machine_and_is_named(locale: str) -> None:
    paper = Paper(
        locale=locale,
        title=SAYS[locale],
        blocks=blocks(f"{SAYS[locale]}\n\n{TABLE}"),
        to=(NAME,),
        sender=("Lantern Wallet",),
        country="US",
        reference=TOKEN,
        sample=False,
    )
    pdf, pages = write_pdf(paper)
    reader = PdfReader(BytesIO(pdf))
    root: Any = reader.trailer["/Root"]
    squeezed = words(pdf).replace(" ", "")
    assert pages == 1
    assert stands_in(SAYS[locale].replace(" ", ""), squeezed)
    assert "SAMPLE" not in squeezed
    assert str(root["/Lang"]).split("-")[0] == locale.split("-", maxsplit=1)[0]
    assert root["/MarkInfo"]["/Marked"]
    assert reader.metadata is not None
    assert reader.metadata.title == SAYS[locale]
    # Nothing of the machine's fonts: every one is in the file.
    pages_read: list[Any] = list(reader.pages)
    fonts = [font.get_object() for page in pages_read for font in page["/Resources"]["/Font"].values()]
    kept = [font["/DescendantFonts"][0].get_object()["/FontDescriptor"] for font in fonts]
    assert kept
    assert all({"/FontFile2", "/FontFile3"} & set(one.get_object()) for one in kept)


def test_the_same_letter_gives_the_same_bytes() -> None:
    paper = Paper(locale="zh-Hant", title="信", blocks=("您好",), to=(NAME,), sender=("L",), country="TW", reference=TOKEN, sample=False)
    assert write_pdf(paper) == write_pdf(paper)


def test_a_long_breakdown_goes_on_over_pages_under_its_head(tmp_path: Path) -> None:
    rows = [[f"Day {number}", "$1.00", "$1.00"] for number in range(120)]
    send(tmp_path, message(body=table_lines(HEAD, rows)))
    (ticket,) = manifest(tmp_path)
    pages = [page.extract_text() for page in PdfReader(tmp_path / ticket["file"]).pages]
    assert len(pages) == ticket["pages"] > 2
    assert all("Still owed" in page for page in pages)


def test_what_a_person_is_called_is_never_markup(tmp_path: Path) -> None:
    name = '#panic("x") *b* $x$ [y] <z> @w \\ "q"'
    send(tmp_path, message(envelope=replace(HOME, to=(name,)), body='#read("/etc/passwd") *no*'))
    said = words((tmp_path / f"{TOKEN}.pdf").read_bytes())
    assert "".join(name.split()) in "".join(said.split())
    assert '#read("/etc/passwd") *no*' in said


def test_a_letter_that_no_font_can_write_is_not_posted(tmp_path: Path) -> None:
    outcome = send(tmp_path, message(envelope=replace(HOME, to=("\U00010a00",))))[0]
    assert isinstance(outcome, NeverWorks)
    assert outcome.code == "cannot_be_set"
    assert tokens_posted(tmp_path) == set()


def test_a_letter_is_posted_once_however_often_it_is_sent(tmp_path: Path) -> None:
    assert send(tmp_path) == send(tmp_path)
    assert len(manifest(tmp_path)) == 1


def test_a_letter_that_the_print_shop_has_fetched_is_not_posted_again(tmp_path: Path) -> None:
    send(tmp_path)
    (tmp_path / MANIFEST).rename(tmp_path / "manifest-0001.jsonl")
    assert isinstance(send(tmp_path)[0], Receipt)
    assert not (tmp_path / MANIFEST).exists()


def test_a_pdf_without_its_line_was_not_posted_and_may_be(tmp_path: Path) -> None:
    (tmp_path / f"{TOKEN}.pdf").write_bytes(b"of somebody who was killed")
    assert isinstance(send(tmp_path)[0], Receipt)
    assert (tmp_path / f"{TOKEN}.pdf").read_bytes().startswith(b"%PDF")
    assert len(manifest(tmp_path)) == 1


def test_a_torn_line_posts_nothing_and_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(b'{"token": "%s", "fi' % OTHER.encode())
    send(tmp_path)
    assert tokens_posted(tmp_path) == {TOKEN}


def test_a_full_disk_leaves_the_manifest_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send(tmp_path)
    before = (tmp_path / MANIFEST).read_bytes()
    whole = os.write

    def half(descriptor: int, line: bytes) -> int:
        return whole(descriptor, line[: len(line) // 2])

    monkeypatch.setattr(os, "write", half)
    outcome = send(tmp_path, message(token=OTHER))[0]
    assert isinstance(outcome, TryLater)
    assert (tmp_path / MANIFEST).read_bytes() == before


def test_a_line_that_may_not_be_on_the_disk_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send(tmp_path)
    whole = os.fsync

    def failing(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == MANIFEST:
            raise OSError(errno.EIO, "gone")
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    assert isinstance(send(tmp_path, message(token=OTHER))[0], FateUnknown)


def test_a_folder_that_cannot_be_made_is_surely_not_posted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert isinstance(send(tmp_path / "file" / "outbox")[0], TryLater)


@pytest.mark.parametrize("seconds", [0, -1])
def test_what_cannot_end_in_its_window_is_not_begun(tmp_path: Path, seconds: int) -> None:
    assert isinstance(send(tmp_path, message(valid_seconds=seconds))[0], PermitExpired)
    assert tokens_posted(tmp_path) == set()


def test_a_late_foreign_or_unmarked_permit_posts_nothing(tmp_path: Path) -> None:
    assert isinstance(send(tmp_path, leave=permit(seconds=0))[0], PermitExpired)
    assert isinstance(send(tmp_path, message(attempt_id=8))[0], ForeignPermit)
    assert isinstance(send(tmp_path, leave=replace(permit(), called_at=None))[0], NotMarked)
    assert tokens_posted(tmp_path) == set()


def test_a_letter_without_an_envelope_goes_nowhere(tmp_path: Path) -> None:
    assert isinstance(send(tmp_path, message(envelope=None))[0], BadAddress)


def test_with_real_people_the_outbox_must_be_named() -> None:
    real: dict[str, Any] = {"mode": "live", "index_key": "k", "seed": "s", "encryption_keys": "k1:AAAA"}

    async def run() -> None:
        channel = Letters(Settings(**real))
        try:
            await channel.send(message(), permit())
        finally:
            await channel.close()

    with pytest.raises(AccountHalted, match="no_outbox"):
        asyncio.run(run())


def _post(folder: Path, numbers: range) -> None:
    letters = [message(token=f"{number:08x}-0000-4000-8000-000000000000", body="Hello") for number in numbers]
    send(folder, *letters)


def test_two_processes_write_whole_lines_to_one_manifest(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_post, args=(tmp_path, range(first, first + 15))) for first in (0, 10)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    # Numbers 10 to 14 were sent by both.
    assert sorted(ticket["token"] for ticket in manifest(tmp_path)) == sorted(tokens_posted(tmp_path))
    assert len(manifest(tmp_path)) == 25
