"""From the coefficients of an image to those of the blurred image."""
