"""Everything on one machine with one command: embedded Valkey, SQLite, a folder for blobs, a local mailbox."""
