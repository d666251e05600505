"""A feature's value in words that a planner can act on."""

from __future__ import annotations

import math

from turbine_health.tables import FeatureName, parse_feature_name

# Endings of signal names that are units. Longest first: `_m_s` before `_s`.
_UNITS = {
    "mm_s": "mm/s", "m_s": "m/s", "kwh": "kWh", "kpa": "kPa", "rpm": "rpm", "deg": "°", "bar": "bar", "pct": "%",
    "kw": "kW", "hz": "Hz", "c": "°C", "k": "K", "v": "V", "a": "A", "g": "g",
}  # fmt: skip
# Units as descriptions spell them, and as people write them.
_UNIT_SIGNS = {"deg C": "°C", "deg": "°"}
_SHORT_WORDS = {"temp": "temperature", "std": "standard deviation", "min": "lowest", "max": "highest", "last": "last reading"}
# What a statistic measures when it is not in the signal's own unit: a factor and a unit.
_OWN_UNITS = {
    "count": (1.0, "readings"),
    "missing_share": (100.0, "%"),
    "flagged_share": (100.0, "%"),
    "age_days": (1.0, "days"),
    "data_age_hours": (1.0, "hours"),
}

# Counted as they are, in no unit.
_EVENTS = {"failures", "repairs", "maintenance", "stops"}


def words_of(feature: str, value: float | None, normal: float | None) -> str:
    """What stands out in one feature, for people.

    >>> words_of("gearbox_bearing_temp_c__mean_168h", 71.2, 62.0)
    'gearbox bearing temperature 9.2 °C above its normal 62 °C, mean of 7 days'
    >>> words_of("vibration_mm_s__max_24h", None, 2.0)
    'vibration: no reading, highest of 1 day'
    >>> words_of("asset__age_days", 12.0, 12.0)
    'age at its normal 12 days'
    >>> words_of("failures__count_2160h", 2.0, 0.0)
    'failures 2 above its normal 0, count of 90 days'
    """
    name = parse_feature_name(feature)
    subject, factor, unit = _subject(name)
    how = _statistic(name)
    if value is None or math.isnan(value):
        return f"{subject}: no reading{how}"
    if normal is None or math.isnan(normal):
        return f"{subject} {_number(value * factor, unit)}{how}"
    difference = (value - normal) * factor
    at_normal = f"its normal {_number(normal * factor, unit)}"
    if float(f"{difference:.2g}") == 0:
        return f"{subject} at {at_normal}{how}"
    side = "above" if difference > 0 else "below"
    return f"{subject} {_number(abs(difference), unit)} {side} {at_normal}{how}"


def signal_words(signal: str) -> str:
    """The signal without its unit.

    >>> signal_words("gearbox_oil_temp_c")
    'gearbox oil temperature'
    """
    return _split_unit(signal)[0]


def signal_title(signal: str, unit: str) -> str:
    """The signal and the unit of its values, as the head of a plot.

    >>> signal_title("gearbox_oil_temp_c", "deg C")
    'gearbox oil temperature (°C)'
    """
    return f"{signal_words(signal)} ({_UNIT_SIGNS.get(unit, unit)})"


def _subject(name: FeatureName) -> tuple[str, float, str]:
    """What is measured, the factor from the stored value to the unit people read, and that unit."""
    factor, own_unit = _OWN_UNITS.get(name.statistic, (1.0, ""))
    if name.signal == "asset":
        return _spoken(name.statistic.removesuffix("_days").removesuffix("_hours")), factor, own_unit
    if name.signal in _EVENTS:
        return name.signal, 1.0, ""
    signal, unit = _split_unit(name.signal)
    return signal, factor, own_unit or (f"{unit} a day" if name.statistic == "slope" else unit)


def _statistic(name: FeatureName) -> str:
    if name.lookback_hours is None:
        return ""
    days, rest = divmod(name.lookback_hours, 24)
    span = f"{name.lookback_hours} hours" if rest else f"{days} day" + ("s" if days > 1 else "")
    return f", {_spoken(name.statistic)} of {span}"


def _split_unit(signal: str) -> tuple[str, str]:
    for ending, unit in _UNITS.items():
        if signal.endswith(f"_{ending}"):
            return _spoken(signal.removesuffix(f"_{ending}")), unit
    return _spoken(signal), ""


def _spoken(name: str) -> str:
    return " ".join(_SHORT_WORDS.get(word, word) for word in name.split("_"))


def _number(value: float, unit: str) -> str:
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"
    return f"{digits} {unit}".strip()
