"""Patterns that people write into source descriptions: regular expressions and time formats.

What is wrong with one is said in a sentence, before Spark starts; a row would only become unreadable by it.
"""

from __future__ import annotations

import re

# Letters that Spark parses times with, and how often each may be repeated.
FORMAT_LETTERS = {
    "G": range(1, 5), "y": range(1, 7), "M": range(1, 5), "L": range(1, 5), "d": range(1, 3), "D": range(1, 4),
    "a": range(1, 2), "h": range(1, 3), "H": range(1, 3), "k": range(1, 3), "K": range(1, 3), "m": range(1, 3),
    "s": range(1, 3), "S": range(1, 10), "V": range(2, 3), "z": range(1, 5), "O": (1, 4), "X": range(1, 6),
    "x": range(1, 6), "Z": range(1, 6),
}  # fmt: skip
_GROUP = re.compile(r"(?<!\\)((?:\\\\)*)\(\?P<\w+>")
_ONLY_PYTHON = re.compile(r"\(\?P=|\(\?\(")


def regex_problem(pattern: str) -> str | None:
    """What is wrong with a regular expression; None when nothing is."""
    try:
        re.compile(pattern)
    except re.error as error:
        return f"{pattern!r} is not a regular expression: {error}"
    if _ONLY_PYTHON.search(pattern):
        return f"{pattern!r} refers back to a group by name or asks whether one matched; Spark cannot read that"
    return None


def group_names(pattern: str) -> tuple[str, ...]:
    """The named groups of a regular expression, in order."""
    return tuple(re.compile(pattern).groupindex)


def with_plain_groups(pattern: str) -> str:
    """The same without names, whose spelling Java restricts; the groups keep their numbers."""
    return _GROUP.sub(r"\1(", pattern)


def time_format_problem(pattern: str) -> str | None:
    """What Spark could not parse a time with, or what every time would be wrong by; None when nothing is."""
    if pattern.count("'") % 2:
        return f"{pattern!r} opens a quote ' and does not close it"
    letters = re.sub(r"'[^']*'", "", pattern)
    return _letters_problem(pattern, letters) or _date_problem(pattern, letters)


def _letters_problem(pattern: str, letters: str) -> str | None:
    runs = [match.group() for match in re.finditer(r"([A-Za-z])\1*", letters)]
    unknown = sorted({run[0] for run in runs if run[0] not in FORMAT_LETTERS})
    if unknown:
        return f"{pattern!r} has {', '.join(unknown)}, which Spark reads no time with (dd.MM.yyyy HH:mm:ss is a pattern)"
    wrong = [run for run in runs if len(run) not in FORMAT_LETTERS[run[0]]]
    if wrong:
        return f"{pattern!r} repeats a letter as Spark cannot read it: {', '.join(wrong)}"
    return f"{pattern!r} has one of {{ }} #, which Spark keeps for itself" if re.search(r"[{}#]", letters) else None


def _date_problem(pattern: str, letters: str) -> str | None:
    has_day = "D" in letters or ("d" in letters and ("M" in letters or "L" in letters))
    if "y" not in letters or not has_day:
        return f"{pattern!r} does not name year (y), month (M) and day (d)"
    if re.search("[hK]", letters) and "a" not in letters:
        return f"{pattern!r} counts hours to twelve (h) without am or pm (a); H counts to 24"
    return None
