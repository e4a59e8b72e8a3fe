"""Statements about orders, their images and blobs."""
