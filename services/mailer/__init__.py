"""The mailer: claims letters, writes them in the reader's language, and hands them to a mail server."""
