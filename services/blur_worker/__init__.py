"""The blur worker: claims images, blurs them in child processes that it can kill, stores the results."""
