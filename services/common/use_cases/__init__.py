"""Use cases that several services share: what follows a commit, and how orders end."""
