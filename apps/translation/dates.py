"""Dates as people write them, with the same day as ISO 8601 has it: the course's exercise.

No form is ambiguous: a month is a word, or the order of the numbers is the one that its separator stands for (2024-05-03, 2024/05/03,
3.5.2024).
"""

import datetime

import numpy as np
from babel.dates import format_date

# locale, CLDR pattern: d day, M month (MMMM its name, MMM short), y year, E weekday (EEEE its name)
TRAINED = (
    ("en", "d MMMM y"),
    ("en", "MMMM d, y"),
    ("en", "MMM d, y"),
    ("en", "EEEE, MMMM d, y"),
    ("en", "EEE d MMM y"),
    ("en", "d-MMM-y"),
    ("en", "y-MM-dd"),
    ("en", "y/MM/dd"),
    ("de", "d.M.y"),
    ("de", "dd.MM.y"),
    ("de", "d. MMMM y"),
    ("de", "EEEE, d. MMMM y"),
    ("fr", "d MMMM y"),
    ("fr", "EEEE d MMMM y"),
    ("es", "d 'de' MMMM 'de' y"),
    ("es", "EEEE, d 'de' MMMM 'de' y"),
    ("it", "d MMMM y"),
    ("nl", "EEEE d MMMM y"),
    ("pt", "d 'de' MMMM 'de' y"),
    ("sv", "d MMMM y"),
)
UNSEEN = (
    ("en", "MMMM d y"),
    ("en", "y MMMM d"),
    ("en", "EEEE, d MMMM y"),
    ("de", "'am' d. MMM y"),
    ("fr", "'le' d MMMM y"),
    ("it", "EEEE d MMMM y"),
)
FIRST, DAYS = datetime.date(1900, 1, 1), 73_049  # to 2099-12-31
CASES = (str, str.lower, str.upper)


def days(seed):
    """Every day of two centuries, shuffled."""
    return [FIRST + datetime.timedelta(days=int(day)) for day in np.random.default_rng(seed).permutation(DAYS)]


def write(chosen, formats, seed):
    """[(date as people write it, ISO date)], each day in one of the formats and in one case."""
    random = np.random.default_rng(seed)
    which, case = random.integers(len(formats), size=len(chosen)), random.integers(len(CASES), size=len(chosen))
    pairs = []
    for day, form, letters in zip(chosen, which, case):
        locale, pattern = formats[form]
        pairs.append((CASES[letters](format_date(day, pattern, locale=locale)), day.isoformat()))
    return pairs
