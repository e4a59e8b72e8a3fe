"""The pages of the one-machine stack's mailbox."""
