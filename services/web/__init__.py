"""The pages for people: a client of the gateway like any other, spoken to with a browser."""
