"""What the numbers of pixels mean as colours: read, carried on into the result, or converted where that cannot be."""

from services.blur_worker.engine.color.description import ColorDescription, color_description
from services.blur_worker.engine.color.icc_profile import icc_profile_for, profile_for

__all__ = ["ColorDescription", "color_description", "icc_profile_for", "profile_for"]
