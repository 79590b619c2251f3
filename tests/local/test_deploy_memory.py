"""Whose a thing is: what nobody touched follows the file, what operations touched stays theirs."""

from __future__ import annotations

import pytest

from local.deploy_memory import Left, digest, settle

OURS, NEWER, THEIRS = {"cron": "0 9 * * *"}, {"cron": "0 8 * * *"}, {"cron": "0 11 * * *"}


def left(wanted: object, found: object) -> Left:
    return Left(digest(wanted), digest(found))


@pytest.mark.parametrize(
    ("wanted", "found", "before", "action"),
    [
        (OURS, None, None, "create"),
        (OURS, None, left(OURS, OURS), "gone"),
        (OURS, OURS, None, "same"),
        (OURS, OURS, left(OURS, OURS), "same"),
        (NEWER, OURS, left(OURS, OURS), "update"),
        (OURS, THEIRS, left(OURS, OURS), "kept"),
        (NEWER, THEIRS, left(OURS, OURS), "kept"),
        (THEIRS, THEIRS, left(OURS, OURS), "same"),
        # Older than the memory: nobody knows who wrote it.
        (OURS, THEIRS, None, "kept"),
        # The server writes the same in other words.
        (OURS, {"cron": "0 9 * * *", "day_or": True}, left(OURS, {"cron": "0 9 * * *", "day_or": True}), "same"),
    ],
)
def test_what_nobody_touched_follows_the_file_and_the_rest_is_operations(
    wanted: object, found: object | None, before: Left | None, action: str
) -> None:
    assert settle(wanted, found, before) == action


def test_what_operations_deleted_comes_back_only_when_asked_for() -> None:
    assert settle(OURS, None, left(OURS, OURS), restore=True) == "create"
    assert settle(OURS, THEIRS, left(OURS, OURS), restore=True) == "kept"


def test_the_order_of_keys_is_no_change() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_what_operations_changed_is_given_up_only_when_asked_for() -> None:
    assert settle(OURS, THEIRS, left(OURS, OURS), overwrite=True) == "update"
    assert settle(OURS, OURS, left(OURS, OURS), overwrite=True) == "same"
    assert settle(OURS, None, left(OURS, OURS), overwrite=True) == "gone"
