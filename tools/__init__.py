"""Programs for those who work on ImageBlur."""
