"""Lengths of time in words."""

from services.web.http.languages import Texts


def lasting(texts: Texts, seconds: float) -> str:
    """A length of time with two figures that matter, or two units."""
    if seconds < 0.9995:
        return texts("operator_lasts_ms", count=round(seconds * 1000))
    if seconds < 9.95:
        return texts("operator_lasts_s", count=f"{seconds:.1f}")
    whole = round(seconds)
    if whole < 60:
        return texts("operator_lasts_s", count=whole)
    if whole < 3600:
        return texts("operator_lasts_min", count=whole // 60, rest=whole % 60)
    if whole < 48 * 3600:
        return texts("operator_lasts_h", count=whole // 3600, rest=whole % 3600 // 60)
    return texts("operator_lasts_d", count=whole // 86400, rest=whole % 86400 // 3600)
