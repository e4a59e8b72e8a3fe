"""Uploads that can be resumed, by the protocol tus 1.0: of programs, and of the order form's script."""
