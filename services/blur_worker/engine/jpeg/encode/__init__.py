"""From quantized coefficients to a baseline JPEG (T.81, F.1)."""
