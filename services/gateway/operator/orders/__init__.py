"""OperatorService: orders, their images and traces, and actions on them."""
