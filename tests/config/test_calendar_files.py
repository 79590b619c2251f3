"""Calendars: what a lender knows better than the holidays library, or an error with file, line and reason."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from config.calendar_files import CALENDARS, calendars
from config.load import ConfigError
from config.rule_files import RULES, Beside, rule_packs
from decisions.rules.calendars import HolidayCalendar, calendar_of, holiday_name, public_holidays

KR = """\
calendar: KR
adds:
  2026-06-05: A day off by decree
  2026-06-08: Another one
removes:
  2026-06-06: Moved by the same decree
"""


def write(folder: Path, text: str, name: str = "kr.yaml") -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder


def test_what_ships_is_whole() -> None:
    assert {path.suffix for path in CALENDARS.iterdir()} <= {".yaml", ".md"}
    assert rule_packs().calendars == calendars()


def test_days_are_added_and_removed_beside_the_librarys(tmp_path: Path) -> None:
    write(tmp_path, "for people", "README.md")
    packs = rule_packs(RULES, beside=Beside(calendars=write(tmp_path, KR)))
    assert date(2026, 6, 6) in public_holidays("KR", 2026), "else this test proves nothing"
    korea = calendar_of("KR", packs)
    days = [date(2026, 6, day) for day in range(4, 10)]
    assert [day.day for day in days if korea.is_holiday(day)] == [5, 8]
    assert [day.day for day in days if korea.is_business_day(day)] == [4, 9]
    assert calendar_of("TH", packs) == HolidayCalendar("TH")


def test_a_holiday_has_a_name_by_the_library_or_by_who_knows_better(tmp_path: Path) -> None:
    better = calendars(write(tmp_path, KR))
    assert holiday_name("KR", date(2026, 6, 5), better) == "A day off by decree"
    assert holiday_name("KR", date(2026, 6, 6), better) is None
    assert holiday_name("KR", date(2026, 6, 6), ()) == "Memorial Day"
    assert holiday_name("TW", date(2026, 6, 5), better) is None
    with pytest.raises(NotImplementedError):
        holiday_name("QQ", date(2026, 6, 5), better)


def test_a_subdivision_has_its_own_calendar(tmp_path: Path) -> None:
    [state] = calendars(write(tmp_path, "calendar: BR-SP\nadds: {2026-07-10: A bridge}\n", "br-sp.yaml"))
    assert (state.calendar, list(state.adds)) == ("BR-SP", [date(2026, 7, 10)])


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("removes:", "removed:", 6, "unknown field"),
        ("calendar: KR\n", "", 1, "required field is missing"),
        ("calendar: KR", "calendar: TH", 1, "named after"),
        ("2026-06-08", "2026-06-04", 4, "dates must ascend"),
        ("2026-06-08", "2026-06-05", 4, "given twice"),
        ("2026-06-08", "2026-06-31", 4, "date"),
        ("2026-06-06", "2026-06-05", 6, "added and removed"),
        (": Another one", ": {why: none}", 4, "string"),
    ],
)
def test_a_calendar_that_is_not_whole_is_refused_with_file_line_and_reason(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert KR.count(old) == 1
    with pytest.raises(ConfigError, match=says) as refused:
        rule_packs(RULES, beside=Beside(calendars=write(tmp_path, KR.replace(old, new))))
    assert Path(refused.value.file).name == "kr.yaml"
    assert refused.value.line == line


@pytest.mark.parametrize("name", ["QQ", "KR-QQ", "Gotham"])
def test_a_calendar_that_nobody_knows_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="not known to the holidays library") as refused:
        calendars(write(tmp_path, KR.replace("calendar: KR", f"calendar: {name}"), f"{name.lower()}.yaml"))
    assert refused.value.line == 1


def test_a_calendar_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither adds nor removes"):
        calendars(write(tmp_path, "calendar: KR\n"))


def test_a_calendar_that_would_not_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"kr\.yml.*ends in \.yaml"):
        calendars(write(tmp_path, KR, "kr.yml"))


def test_a_folder_that_was_not_copied_along_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        calendars(tmp_path / "calendars")
