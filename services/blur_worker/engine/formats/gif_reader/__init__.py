"""Decode GIFs, their frames composed as browsers do. Source: GIF89a; Chromium where that is silent."""
