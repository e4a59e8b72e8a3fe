"""The review of results: doubts first, boxes to switch on and off, regions to add, images blurred again."""
