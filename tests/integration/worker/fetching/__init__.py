"""Sources of images, fetched from real servers and places."""
