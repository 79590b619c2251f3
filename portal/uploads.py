"""Forms with files: read part by part into memory, bounded, never onto a disk; names of files are not read at all.

What is too large or too many is passed over while it comes in, so that her words beside it are kept and the page can say what was wrong.

In:   a request with multipart/form-data.
Out:  `Sent`: fields, files with their kind (decisions/uploads.py), or what is wrong with them.
Pure: no.
Source: RFC 7578; docs/adr/0049.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request
from starlette.responses import Response

from config.papers import papers_policy_in_force
from decisions.uploads import kind_of
from ledger.person_files import Upload
from portal.pages import Asked
from portal.web import BODY_BYTES_MAX, FIELDS_MAX, Refused, headers

MULTIPART: Final = b"multipart/form-data"
# So many bytes are read, and thrown away, so that her browser hears the answer; after them the form is not taken.
READ_BYTES_MAX: Final = 64 * 1_048_576
PARTS_MAX: Final = FIELDS_MAX + 20
UNKNOWN: Final = "application/octet-stream"
# What is handed out is a download, of no type that a browser shows or runs, in a box of its own.
HANDED_OUT: Final = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came with a form.

    Attributes:
        fields: The first of each name.
        files: Each of a kind that is taken; empty where anything is wrong with one of them.
        trouble: What is wrong: `file_large`, `file_many`, `file_kind`; None = nothing.
    """

    fields: dict[str, str] = field(repr=False)
    files: tuple[Upload, ...]
    trouble: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A form's parts as they came.

    Attributes:
        fields: The first of each name.
        contents: Of each file that is not empty.
        trouble: `file_large` or `file_many`; None = neither.
    """

    fields: dict[str, str] = field(repr=False)
    contents: tuple[bytes, ...] = field(repr=False)
    trouble: str | None


def is_multipart(request: Request) -> bool:
    """Whether a form came in parts."""
    return parse_options_header(request.headers.get("content-type"))[0] == MULTIPART


async def read_sent(request: Request) -> Sent:
    """Read a form that came in parts.

    Raises:
        Refused: It is no such form, or is far too large.
    """
    policy = papers_policy_in_force()
    parts = await read_parts(request, file_bytes_max=policy.file_bytes_max, files_max=policy.files_max)
    files = [Upload(kind=kind, content=one) for one in parts.contents if (kind := kind_of(one)) is not None]
    trouble = parts.trouble or ("file_kind" if len(files) < len(parts.contents) else None)
    return Sent(fields=parts.fields, files=() if trouble else tuple(files), trouble=trouble)


async def read_parts(request: Request, *, file_bytes_max: int, files_max: int) -> Parts:
    """Read a form that came in parts, whatever its files are.

    Args:
        request: As it came.
        file_bytes_max: So long a file may be.
        files_max: So many there may be.

    Raises:
        Refused: As above.
    """
    boundary = parse_options_header(request.headers.get("content-type"))[1].get(b"boundary")
    if not boundary:
        raise Refused
    parts = _Parts(file_bytes_max=file_bytes_max, files_max=files_max)
    read = 0
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.header_name,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_headers_finished": parts.headers_end,
                "on_part_data": parts.data,
                "on_part_end": parts.end,
            },
        )
        async for chunk in request.stream():
            read += len(chunk)
            if read > READ_BYTES_MAX:
                raise Refused
            parser.write(chunk)
        parser.finalize()
    except (FormParserError, UnicodeDecodeError):
        raise Refused from None
    return parts.found()


def handed_out(content: bytes, *, name: str, media_type: str = UNKNOWN) -> Response:
    """A file as a download, which no browser opens by itself.

    Args:
        content: Of it.
        name: Of ours, with its ending and without anything personal.
        media_type: Left out for what somebody else made.
    """
    own = HANDED_OUT | {"Content-Disposition": f'attachment; filename="{name}"', "Content-Type": media_type}
    return Response(content, headers=headers() | own)


def troubled(asked: Asked, trouble: str | None) -> str | None:
    """What is wrong with the files of a form, in words."""
    policy = papers_policy_in_force()
    gaps = {"file_large": {"size": str(policy.mebibytes)}, "file_many": {"count": str(policy.files_max)}}
    return None if trouble is None else asked.words.say(trouble, **gaps.get(trouble, {}))


class _Parts:
    """The parts of one form, as they come."""

    def __init__(self, *, file_bytes_max: int, files_max: int) -> None:
        self._file_bytes_max, self._files_max = file_bytes_max, files_max
        self._fields: dict[str, str] = {}
        self._files: list[bytes] = []
        self._trouble: str | None = None
        self._count = 0
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = b""
        self._name, self._is_file, self._content = "", False, bytearray()

    def begin(self) -> None:
        self._count += 1
        if self._count > PARTS_MAX:
            raise Refused
        self._header = (bytearray(), bytearray())
        self._disposition, self._name, self._is_file, self._content = b"", "", False, bytearray()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def header_end(self) -> None:
        if bytes(self._header[0]).lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])
        self._header = (bytearray(), bytearray())

    def headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode()
        # That a part is a file is all that its name is asked for.
        self._is_file = b"filename" in options
        if not self._is_file and len(self._fields) >= FIELDS_MAX:
            raise Refused

    def data(self, data: bytes, start: int, end: int) -> None:
        most = self._file_bytes_max if self._is_file else BODY_BYTES_MAX
        if len(self._content) + end - start > most:
            if not self._is_file:
                raise Refused
            self._trouble = self._trouble or "file_large"
        elif len(self._files) >= self._files_max and self._is_file:
            self._trouble = self._trouble or "file_many"
        else:
            self._content.extend(data[start:end])

    def end(self) -> None:
        if not self._is_file:
            self._fields.setdefault(self._name, self._content.decode())
        elif self._content:  # a field for files that was left empty comes as a part without content
            self._files.append(bytes(self._content))

    def found(self) -> Parts:
        return Parts(fields=self._fields, contents=tuple(self._files), trouble=self._trouble)
