"""The broker, its queues and messages, and the Dramatiq workers that read them."""
