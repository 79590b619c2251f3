"""What somebody types about a case must not hold whom it is about: ids stand for people.

In:   words.
Out:  whether a phone number or an address of mail seems to be among them.
Pure: yes.
"""

from __future__ import annotations

import re
from typing import Final

_PERSONAL: Final = re.compile(r"@|\+\d[\d ().-]{6,}|\d[\d ().-]{7,}\d")
_A_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?")


def looks_personal(said: str) -> bool:
    """Whether words hold what looks like a number or an address of a person; dates as 2026-11-28 do not."""
    return _PERSONAL.search(_A_DATE.sub("", said)) is not None
