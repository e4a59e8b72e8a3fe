"""What a JPEG file is made of: markers, headers, tables, entropy-coded data (T.81, annex B)."""
