"""The operator's pages: look at what the service does, steer it, mend what failed, hand out keys."""
