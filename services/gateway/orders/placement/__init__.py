"""How an order is placed: checks, the upload of its images, the commit."""
