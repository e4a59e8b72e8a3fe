"""Posts events of orders to their webhooks."""
