"""How orders are read: status, changes for watchers, downloads, previews."""
