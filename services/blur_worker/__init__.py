"""The blur worker: claims images, blurs them in child processes that can be killed, stores the results."""
