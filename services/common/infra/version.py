"""Which version this is."""

from importlib.metadata import version

VERSION = version("imageblur")
ENGINE = f"imageblur {VERSION}"
"""What blurred an image, as its receipt tells."""
