"""What a person at the terminal sees and types: lines of output, the banner, Ctrl-C."""
