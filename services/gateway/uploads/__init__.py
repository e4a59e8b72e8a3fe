"""Uploads that can be resumed: created, appended to by any number of calls, completed to an order."""
