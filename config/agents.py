"""Reads what the phone team works by: config/certificates.yaml, recording.yaml, needs.yaml and quality.yaml.

In:   the files.
Out:  certificates that are wanted, rules of recording by jurisdiction, needs, the rubric by which talks are looked at.
Pure: no; reads files. A jurisdiction, a need or a point that stands twice is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from config.load import ConfigError, Day, Strict, Whole, read
from decisions.agents import Wanted
from decisions.recording import RecordingRule, Way
from decisions.words import CHANNELS, Basis

HERE: Final = Path(__file__).parent
CERTIFICATES: Final = HERE / "certificates.yaml"
RECORDING: Final = HERE / "recording.yaml"
NEEDS: Final = HERE / "needs.yaml"
QUALITY: Final = HERE / "quality.yaml"
Phrase = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
Code = Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3}){0,2}$")]


class SourceForm(Strict):
    """Where a line comes from; `read_on: null` = named, but not read."""

    title: Phrase
    section: str | None = None
    href: str | None = None
    read_on: Day | None


class _Sourced(Strict):
    basis: Basis
    reference: tuple[SourceForm, ...] = ()
    confidence: Literal["V1", "V2", "R"] | None = None
    unverified: str | None = None


class CertificateForm(_Sourced):
    """A certificate that is wanted, as written."""

    jurisdiction: Code
    kind: Phrase
    since: Day


class CertificatesForm(Strict):
    """The file, as written."""

    owner: Phrase
    reviewed_on: Day
    certificates: tuple[CertificateForm, ...]


class RecordingForm(_Sourced):
    """What a jurisdiction says of recording, as written."""

    jurisdiction: Code
    way: Way
    by_region: bool = False


class RecordingsForm(Strict):
    """The file, as written."""

    owner: Phrase
    reviewed_on: Day
    rules: tuple[RecordingForm, ...]


class NeedForm(Strict):
    """A need, as written."""

    need: Name
    stops: tuple[str, ...] = ()
    first: bool = False
    hers: bool = False


class NeedsForm(Strict):
    """The file, as written."""

    owner: Phrase
    reviewed_on: Day
    needs: tuple[NeedForm, ...]


class ScaleForm(Strict):
    """From the worst to the best, as written."""

    worst: Whole
    best: Whole


class PointForm(Strict):
    """A point of the rubric, as written."""

    point: Name
    weight: Annotated[int, Field(ge=1)]
    floor: Whole


class QualityForm(Strict):
    """The file, as written."""

    owner: Phrase
    reviewed_on: Day
    talks_a_week: Annotated[int, Field(ge=1)]
    scale: ScaleForm
    rubric: tuple[PointForm, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What is done differently for somebody.

    Attributes:
        name: What to do.
        stops: Channels that are not used any more.
        first: Stands before anything else.
        hers: She may say so herself, on her page.
    """

    name: str
    stops: tuple[str, ...]
    first: bool
    hers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What is looked at in a talk, how much it weighs, and below what it is talked about."""

    name: str
    weight: int
    floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """How talks are looked at.

    Attributes:
        talks_a_week: Of each agent.
        worst: Of a point.
        best: As above.
        points: In the order in which they are shown.
    """

    talks_a_week: int
    worst: int
    best: int
    points: tuple[Point, ...]

    def per_cent(self, scores: Mapping[str, int]) -> int:
        """The weighted share of the best that scores of all points come to, in whole per cent, rounded down."""
        reached = sum(point.weight * (scores[point.name] - self.worst) for point in self.points)
        return 100 * reached // (sum(point.weight for point in self.points) * (self.best - self.worst))

    def below(self, scores: Mapping[str, int]) -> list[str]:
        """Points that are below their floor: the two talk about them."""
        return [point.name for point in self.points if scores[point.name] < point.floor]


def wanted_certificates(path: Path = CERTIFICATES) -> tuple[Wanted, ...]:
    """Certificates that jurisdictions want.

    Raises:
        ConfigError: The file is not of that form, or names one twice.
    """
    form = read(path, CertificatesForm)
    _once(path, ((one.jurisdiction, one.kind) for one in form.certificates))
    return tuple(Wanted(jurisdiction=one.jurisdiction, kind=one.kind, since=one.since) for one in form.certificates)


def recording_rules(path: Path = RECORDING) -> dict[str, RecordingRule]:
    """Rules of recording, by jurisdiction.

    Raises:
        ConfigError: As above.
    """
    form = read(path, RecordingsForm)
    _once(path, (one.jurisdiction for one in form.rules))
    return {one.jurisdiction: RecordingRule(jurisdiction=one.jurisdiction, way=one.way, by_region=one.by_region) for one in form.rules}


def needs(path: Path = NEEDS) -> dict[str, Need]:
    """What may be done differently for somebody, by name, in the order of the file.

    Raises:
        ConfigError: As above; or a channel that is none.
    """
    form = read(path, NeedsForm)
    _once(path, (one.need for one in form.needs))
    if unknown := sorted({channel for one in form.needs for channel in one.stops} - set(CHANNELS)):
        raise ConfigError(path, None, "needs", f"no channel {unknown[0]!r}")
    return {one.need: Need(name=one.need, stops=one.stops, first=one.first, hers=one.hers) for one in form.needs}


def rubric(path: Path = QUALITY) -> Rubric:
    """How talks are looked at.

    Raises:
        ConfigError: As above; or a scale or a floor that cannot be.
    """
    form = read(path, QualityForm)
    _once(path, (one.point for one in form.rubric))
    if form.scale.best <= form.scale.worst or any(not form.scale.worst <= one.floor <= form.scale.best for one in form.rubric):
        raise ConfigError(path, None, "scale", "goes from the worst up to the best, and every floor lies on it")
    points = tuple(Point(name=one.point, weight=one.weight, floor=one.floor) for one in form.rubric)
    return Rubric(talks_a_week=form.talks_a_week, worst=form.scale.worst, best=form.scale.best, points=points)


@lru_cache(maxsize=1)
def wanted_in_force() -> tuple[Wanted, ...]:
    """The shipped file's, read once a process."""
    return wanted_certificates()


@lru_cache(maxsize=1)
def recording_in_force() -> dict[str, RecordingRule]:
    """As above."""
    return recording_rules()


@lru_cache(maxsize=1)
def needs_in_force() -> dict[str, Need]:
    """As above."""
    return needs()


@lru_cache(maxsize=1)
def rubric_in_force() -> Rubric:
    """As above."""
    return rubric()


def _once(path: Path, keys: Iterable[object]) -> None:
    seen: set[object] = set()
    for key in keys:
        if key in seen:
            raise ConfigError(path, None, "", f"{key} stands twice")
        seen.add(key)
