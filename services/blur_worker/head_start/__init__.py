"""Head starts: images of orders that are still uploaded are blurred by child processes that are idle."""
