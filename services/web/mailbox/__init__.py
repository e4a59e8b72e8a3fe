"""The local mailbox of the one-machine stack."""
