"""What e-mails say, in the reader's language."""
