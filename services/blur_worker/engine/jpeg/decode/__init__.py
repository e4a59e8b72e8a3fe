"""From entropy-coded data to coefficients (T.81, annexes F.2 and G.2)."""
