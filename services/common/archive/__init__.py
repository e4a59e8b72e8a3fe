"""The archive of an order's results: names, layout and summary."""
