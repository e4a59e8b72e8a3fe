"""BlurService: receives orders, reports their progress, returns their results."""
