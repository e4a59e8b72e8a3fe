"""Messages of calls: their sizes are checked before they are parsed."""
