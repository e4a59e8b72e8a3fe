"""Rules and values of the product: no I/O, no libraries."""
