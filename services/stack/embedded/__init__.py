"""Servers that the stack brings along: Valkey and a mailbox."""
