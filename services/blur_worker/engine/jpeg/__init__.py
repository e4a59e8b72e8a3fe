"""Blur a JPEG as it is stored: from DCT coefficients to DCT coefficients, without decoding it to pixels."""
