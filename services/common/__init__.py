"""What the services share: rules (domain), statements (db), infrastructure, archives, and use cases."""
