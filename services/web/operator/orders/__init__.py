"""The operator pages: orders, and actions on them."""
