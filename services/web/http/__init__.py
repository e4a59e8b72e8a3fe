"""What all pages share: security headers, error mapping, templates, languages, forms, static files."""
