"""What is signed: links in e-mails, the visitors of pages, webhooks."""
