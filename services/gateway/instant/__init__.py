"""Instant calls: BlurImage and FindRegions hand an image to a worker and wait for the answer; nothing is kept."""
