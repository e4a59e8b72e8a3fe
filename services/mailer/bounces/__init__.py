"""Reads the mailbox that bounces and complaints arrive in."""
