"""Reads config/papers.yaml: what a person may bring to her page and take from it, and how often.

In:   the file.
Out:  `PapersPolicy`.
Pure: no; reads one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import Day, Strict, read

PAPERS_FILE: Final = Path(__file__).with_name("papers.yaml")
MEBIBYTE: Final = 1_048_576
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PapersPolicy:
    """How much a person may bring and take.

    Attributes:
        files_max: Files of one form.
        file_bytes_max: Of one file.
        files_a_day_max: Files of one person in 24 hours.
        documents_an_hour_max: PDFs of one person.
        data_code: So lately she has entered her code who takes all that is kept of her.
        data_a_day_max: So often she may.
    """

    files_max: int
    file_bytes_max: int
    files_a_day_max: int
    documents_an_hour_max: int
    data_code: timedelta
    data_a_day_max: int

    @property
    def mebibytes(self) -> int:
        """Size of one file at most, as it is said to people."""
        return self.file_bytes_max // MEBIBYTE


class UploadsForm(Strict):
    """Files that she brings, as written."""

    files_max: Annotated[int, Field(ge=1, le=10)]
    mebibytes_max: Annotated[int, Field(ge=1, le=10)]
    a_day_max: Count


class DocumentsForm(Strict):
    """Documents that she takes, as written."""

    an_hour_max: Count


class DataForm(Strict):
    """All that is kept of her, as written."""

    code_minutes: Count
    a_day_max: Count


class PapersForm(Strict):
    """The file, as written."""

    owner: Annotated[str, Field(min_length=1)]
    reviewed_on: Day
    uploads: UploadsForm
    documents: DocumentsForm
    data: DataForm


def papers_policy(path: Path = PAPERS_FILE) -> PapersPolicy:
    """Read how much a person may bring and take.

    Raises:
        ConfigError: The file is not of that form.
    """
    form = read(path, PapersForm)
    return PapersPolicy(
        files_max=form.uploads.files_max,
        file_bytes_max=form.uploads.mebibytes_max * MEBIBYTE,
        files_a_day_max=form.uploads.a_day_max,
        documents_an_hour_max=form.documents.an_hour_max,
        data_code=timedelta(minutes=form.data.code_minutes),
        data_a_day_max=form.data.a_day_max,
    )


@lru_cache(maxsize=1)
def papers_policy_in_force() -> PapersPolicy:
    """The shipped file's, read once a process."""
    return papers_policy()
