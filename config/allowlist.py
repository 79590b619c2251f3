"""TIDEOVER_ALLOWLIST: the staff numbers and push tokens that alone may be reached in allowlist mode, as blind indexes.

No number stands in a setting or a file: `tideover allowlist` makes the lines.

In:   the setting: 32 hexadecimal digits each, separated by commas; or the path of a file with one a line, `#` begins a comment.
Out:  the blind indexes.
Pure: no; may read one file.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from config.blind_index import BYTES

INDEX: Final = re.compile(rf"[0-9a-f]{{{2 * BYTES}}}", re.ASCII)


@lru_cache(maxsize=4)
def allowed_indexes(setting: str) -> frozenset[bytes]:
    """Read the setting; a file is read once a process.

    Raises:
        ValueError: Something in it is no blind index; the file cannot be read. Says where, and repeats no value.
    """
    parts = [part.strip() for part in setting.split(",") if part.strip()]
    if all(INDEX.fullmatch(part) for part in parts):
        return frozenset(bytes.fromhex(part) for part in parts)
    if len(parts) > 1:
        raise ValueError("TIDEOVER_ALLOWLIST: neither a list of what `tideover allowlist` writes nor the path of a file")
    return _of_file(Path(setting.strip()))


def _of_file(path: Path) -> frozenset[bytes]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(f"TIDEOVER_ALLOWLIST: the file cannot be read ({type(error).__name__})") from None
    found = set()
    for number, line in enumerate(lines, start=1):
        written = line.partition("#")[0].strip()
        if written and not INDEX.fullmatch(written):
            raise ValueError(f"TIDEOVER_ALLOWLIST: line {number} is not what `tideover allowlist` writes; no number may stand there")
        if written:
            found.add(bytes.fromhex(written))
    return frozenset(found)
