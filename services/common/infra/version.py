"""The running version."""

from importlib.metadata import version

VERSION = version("imageblur")
ENGINE = f"imageblur {VERSION}"
"""What blurred an image, as stored in its row and written in the summary."""
