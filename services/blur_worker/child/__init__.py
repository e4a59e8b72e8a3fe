"""The child processes in which images are decoded, searched and blurred."""
