"""Rules and values of the product, without I/O and without libraries."""
