"""The gateway: the gRPC server of orders, subscriptions and operations."""
