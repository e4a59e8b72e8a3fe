"""Requests of BlurService parsed and checked, and its responses made."""
