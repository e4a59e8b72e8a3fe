"""What runs and watches ImageBlur on servers."""
