"""What surrounds every page: security headers, problems, templates, languages, server."""
