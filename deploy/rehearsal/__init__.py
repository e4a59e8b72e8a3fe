"""A rehearsal of compose.yaml: start it and send an order through it."""
