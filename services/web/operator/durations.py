"""Durations as text."""

from services.web.http.languages import Texts


def format_duration(texts: Texts, seconds: float) -> str:
    """Format a duration with two significant digits, or two units."""
    if seconds < 0.9995:
        return texts("operator_duration_ms", count=round(seconds * 1000))
    if seconds < 9.95:
        return texts("operator_duration_s", count=f"{seconds:.1f}")
    whole = round(seconds)
    if whole < 60:
        return texts("operator_duration_s", count=whole)
    if whole < 3600:
        return texts("operator_duration_min", count=whole // 60, rest=whole % 60)
    if whole < 48 * 3600:
        return texts("operator_duration_h", count=whole // 3600, rest=whole % 3600 // 60)
    return texts("operator_duration_d", count=whole // 86400, rest=whole % 86400 // 3600)
