"""Statements about orders, their images and their blobs."""
