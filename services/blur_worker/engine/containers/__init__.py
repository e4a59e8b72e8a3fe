"""What files consist of: chunks, boxes, segments; what the formats and the readers of metadata share."""
