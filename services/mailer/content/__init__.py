"""The content of e-mails: drafts from rows, and texts in the recipient's language."""
