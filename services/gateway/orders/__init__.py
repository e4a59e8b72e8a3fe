"""BlurService: orders in, progress and results out."""
