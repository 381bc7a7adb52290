"""Conversions between samples, milliseconds and seconds. Positions are integer samples inside."""

from __future__ import annotations

#: the rate of the canonical copy of every recording (requirement A3)
CANONICAL_RATE_HZ = 16_000


def seconds_to_samples(duration_s: float, rate_hz: int = CANONICAL_RATE_HZ) -> int:
    """The nearest sample to a time in seconds."""
    return round(duration_s * rate_hz)


def samples_to_seconds(samples: int, rate_hz: int = CANONICAL_RATE_HZ) -> float:
    return samples / rate_hz


def seconds_to_hours(duration_s: float) -> float:
    return duration_s / 3600.0


def samples_to_ms(samples: int, rate_hz: int = CANONICAL_RATE_HZ) -> int:
    """Whole milliseconds, rounded down, so that a span never claims time it does not have."""
    return samples * 1000 // rate_hz


def ms_to_samples(milliseconds: int, rate_hz: int = CANONICAL_RATE_HZ) -> int:
    return milliseconds * rate_hz // 1000
