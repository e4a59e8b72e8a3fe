"""OperatorService: mailings, subscribers, texts of e-mails."""
