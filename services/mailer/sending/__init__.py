"""Sends claimed e-mails: one core for single e-mails and for batches of a mailing."""
