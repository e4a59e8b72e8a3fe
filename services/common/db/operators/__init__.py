"""Statements for operators: failures and their retries, jobs for mailers, the data of a person."""
