"""The operator pages: mailings, subscribers, texts of e-mails."""
