"""The mailer: claims e-mails, renders them in the recipient's language and sends them by SMTP."""
