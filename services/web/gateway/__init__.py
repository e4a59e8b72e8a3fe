"""The gateway as the pages call it: channels, one client, and the upload of an order."""
