"""Decode the TIFFs that Pillow reads wrongly or not at all; the others stay with Pillow.

Source: TIFF 6.0; BigTIFF (libtiff's design).
"""
