"""What a file is by its content: four plain kinds are taken, and nothing that is two things at once or acts by itself."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.uploads import FILE_KINDS, PIXELS_MAX, kind_of


def png(width: int = 1, height: int = 1) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


def archive() -> bytes:
    written = BytesIO()
    with ZipFile(written, "w") as file:
        file.writestr("proof.txt", "paid")
    return written.getvalue()


PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
JPEG = b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00" + b"\0" * 64 + b"\xff\xd9"
TAKEN = {
    "a PDF": (PDF, "pdf"),
    "a photo": (JPEG, "jpeg"),
    "a photo with what its phone adds": (JPEG + b"\0\0MotionPhoto_Data" + b"\0" * 32, "jpeg"),
    "a picture": (png(), "png"),
    "words": ("Pagué el 3 de marzo.\r\n支払い済みです\n".encode(), "text"),
    "words with a mark of their order": (b"\xef\xbb\xbfpaid", "text"),
    "words that begin like a picture of Windows": (b"BMW loan, paid twice", "text"),
    "a sum": (b"3 < 5 and 7 > 2", "text"),
}
REFUSED = {
    "nothing": b"",
    "blanks": b" \n\t",
    "a page": b"<!DOCTYPE html><html><body onload=alert(1)>",
    "a page after words": b"paid\n<script src=//x></script>",
    "a drawing that runs": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "an archive": archive(),
    "a program": b"MZ" + b"\0" * 64,
    "a moving picture": b"GIF89a" + b"\0" * 64,
    "a PDF behind a page": b"<html><script>1</script></html>\n" + PDF,
    "a PDF behind something": b"0" * 16 + PDF,
    "a PDF that is an archive too": PDF + archive() + b"%%EOF",
    "a PDF that is cut off": PDF[:40],
    "a PDF with a script": PDF.replace(b"/Type /Catalog", b"/OpenAction << /S /JavaScript /JS (app.alert(1)) >>"),
    "a PDF that starts something": PDF.replace(b"/Type /Catalog", b"/A << /S /Launch /F (cmd) >>"),
    "a PDF with a file within": PDF.replace(b"/Type /Catalog", b"/Type /EmbeddedFile"),
    "a photo that is an archive too": JPEG + archive(),
    "a photo that is a program too": JPEG[:20] + b"<?php system($_GET[0]); ?>" + JPEG[20:],
    "a photo with a page behind it": JPEG + b"<html><script>alert(1)</script>",
    "a photo without an end": JPEG[:-2],
    "a picture with something behind it": png() + b"more",
    "a picture that fills the memory": png(PIXELS_MAX, 2),
    "a picture of no size": png(0, 1),
    "control signs": b"paid\x1b[2J",
    "words of another time": "pagué".encode("latin-1"),
    "half of two bytes a sign": "paid".encode("utf-16"),
}


@pytest.mark.parametrize("what", TAKEN)
def test_plain_files_are_known_by_their_content(what: str) -> None:
    content, kind = TAKEN[what]
    assert kind_of(content) == kind


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_two_things_at_once_or_acts_or_is_no_plain_file_is_refused(what: str) -> None:
    assert kind_of(REFUSED[what]) is None


@given(st.binary(max_size=400), st.sampled_from([b"", b"%PDF-", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"PK\x03\x04"]))
def test_whatever_comes_is_judged_without_an_error(rest: bytes, begins: bytes) -> None:
    assert kind_of(begins + rest) in {None, *FILE_KINDS}
