"""People who do not exist, with numbers that no one can own.

In:   seed, country, how many.
Out:  names, phone numbers (E.164), push tokens, locale, zone.
Pure: yes. Ranges: docs/town.md. United States: 555-0100 to 555-0199, kept for fiction in every area code (NANPA).
      United Kingdom: 07700 900000 to 900999 (Ofcom's numbers for drama). Taiwan, mainland China and Mexico have no range
      for fiction: there the number has the right length and an impossible beginning, so no operator can assign it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.chance import Chance

# Area codes that lie in one zone only, so that number and zone agree.
_US_AREA_CODES = {
    "America/New_York": (
        "201 202 203 207 212 215 216 219 220 223 227 229 231 234 239 240 248 252 260 267 269 272 276 283 301 302 304 305 313 315 317 "
        "321 324 326 329 330 332 336 339 347 351 352 363 380 386 401 404 407 410 412 413 419 434 440 443 445 448 463 470 472 475 478 "
        "484 508 513 516 517 518 540 551 561 567 570 571 582 585 586 603 607 609 610 614 616 617 631 640 645 646 656 667 678 680 681 "
        "686 703 704 706 716 717 718 724 727 728 732 734 740 743 754 757 762 765 770 771 772 774 781 786 802 803 804 810 813 814 821 "
        "826 828 835 838 839 843 845 848 854 856 857 860 862 863 864 878 904 908 910 912 914 917 919 929 934 937 941 943 947 948 954 "
        "959 973 978 980 984 989"
    ),
    "America/Chicago": (
        "205 210 214 217 218 224 225 228 251 254 256 262 274 281 309 312 314 316 318 319 320 325 327 331 334 337 346 361 402 405 409 "
        "414 417 430 432 447 464 469 479 501 504 507 512 515 531 534 539 557 563 572 573 580 601 608 612 615 618 630 636 641 651 659 "
        "660 662 682 708 712 713 715 726 730 737 763 769 773 779 806 815 816 817 830 832 847 870 872 901 903 913 918 920 936 938 940 "
        "945 952 956 972 975 979 985"
    ),
    "America/Denver": "303 307 385 406 435 505 575 719 720 748 801 970 983",
    "America/Los_Angeles": (
        "206 209 213 253 279 310 323 341 350 360 369 408 415 424 425 442 503 509 510 530 559 562 564 619 626 628 650 657 661 669 702 "
        "707 714 725 738 747 760 805 818 820 831 840 858 909 916 925 949 951 971"
    ),
    "America/Phoenix": "480 520 602 623 928",
    "Pacific/Honolulu": "808",
}
_US_AREAS = sorted((area, zone) for zone, areas in _US_AREA_CODES.items() for area in areas.split())


class NoNumbersLeftError(ValueError):
    """The country has fewer numbers that no one can own than were asked for, or no such range is known."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers of one country: prefix, how many free digits follow, and who would live there."""

    prefix: str
    digits: int
    locale: str
    zone: str


# Why nobody can own them: docs/town.md.
_RANGES = {
    "TW": Range("+88630", 7, "zh-Hant", "Asia/Taipei"),
    "CN": Range("+86124", 8, "zh-Hans", "Asia/Shanghai"),
    "MX": Range("+5250", 8, "es-MX", "America/Mexico_City"),
    "GB": Range("+447700900", 3, "en-GB", "Europe/London"),
}
COUNTRIES = ("US", *_RANGES)

# Family names are things, so that nobody takes a row for a person.
_NAMES = {
    "en": (("Testa", "Sample", "Demo", "Mock", "Nemo"), ("Teapot", "Lamppost", "Umbrella", "Bookshelf", "Doorbell", "Kettle")),
    "es": (("Prueba", "Ejemplo", "Muestra", "Nadie"), ("Tetera", "Farola", "Paraguas", "Estante", "Timbre", "Cuchara")),
    "zh-Hant": (("試", "樣", "虛", "例"), ("茶壺", "路燈", "雨傘", "書架", "門鈴", "湯匙")),
    "zh-Hans": (("试", "样", "虚", "例"), ("茶壶", "路灯", "雨伞", "书架", "门铃", "汤匙")),
}


@dataclass(frozen=True, slots=True)
class InventedPerson:
    """Someone who does not exist. `phone` is E.164; `push_token` has the form of an FCM registration token."""

    name: str
    phone: str
    push_token: str
    country: str
    locale: str
    zone: str


def invent_contact_points(seed: int | str, country: str, count: int) -> list[str]:
    """Different phone numbers of a country that no one can own, in E.164; the same for the same seed.

    Raises:
        NoNumbersLeftError: The country has no known range, or fewer numbers than asked for.
    """
    return [phone for phone, _ in _numbers(Chance(f"{seed}"), country, count)]


def invent_people(seed: int | str, country: str, count: int) -> list[InventedPerson]:
    """People who do not exist, with different numbers; the same for the same seed.

    Raises:
        NoNumbersLeftError: The country has no known range, or fewer numbers than asked for.
    """
    chance = Chance(f"{seed}")
    locale = "en-US" if country == "US" else _RANGES[country].locale if country in _RANGES else ""
    return [
        InventedPerson(
            name=_name(chance, locale, phone),
            phone=phone,
            push_token=f"{chance.hexadecimal(22, 'token', phone)}:APA91b{chance.hexadecimal(128, 'token-rest', phone)}",
            country=country,
            locale=locale,
            zone=zone,
        )
        for phone, zone in _numbers(chance, country, count)
    ]


def _numbers(chance: Chance, country: str, count: int) -> list[tuple[str, str]]:
    """(number, zone) pairs, all different: a walk through the range whose stride shares no factor with its size."""
    if country not in COUNTRIES:
        raise NoNumbersLeftError(f"no numbers that no one can own are known for {country}; known: {', '.join(COUNTRIES)}")
    size = 100 * len(_US_AREAS) if country == "US" else 10 ** _RANGES[country].digits
    if not 0 <= count <= size:
        raise NoNumbersLeftError(f"{country} has {size} numbers that no one can own; {count} were asked for")
    start = int(chance.unit("numbers", country) * size)
    stride = next(step for step in (7919, 7907, 7901) if size % step)
    return [_number(country, (start + index * stride) % size) for index in range(count)]


def _number(country: str, serial: int) -> tuple[str, str]:
    if country == "US":
        area, zone = _US_AREAS[serial // 100]
        return f"+1{area}55501{serial % 100:02}", zone
    numbers = _RANGES[country]
    return f"{numbers.prefix}{serial:0{numbers.digits}}", numbers.zone


def _name(chance: Chance, locale: str, phone: str) -> str:
    language = locale if locale.startswith("zh") else locale[:2]
    first, second = _NAMES[language]
    one = first[int(chance.unit("name", phone) * len(first))]
    other = second[int(chance.unit("family", phone) * len(second))]
    serial = int(phone[-5:])
    return f"{one}{other}{serial}" if language.startswith("zh") else f"{one} {other} {serial}"
