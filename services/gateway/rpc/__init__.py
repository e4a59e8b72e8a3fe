"""What every call shares: access control, admission, errors, logging, limits, pagination, field parsing."""
