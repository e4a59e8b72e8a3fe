"""The mailer: claims e-mails, writes them in the reader's language, and hands them to a mail server."""
