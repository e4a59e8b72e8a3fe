"""The gRPC services as HTTP with JSON: a thin translation with the same keys, limits and errors."""
