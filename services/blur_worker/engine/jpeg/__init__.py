"""Blurs a JPEG as it is stored: from DCT coefficients to DCT coefficients, without ever making its pixels."""
