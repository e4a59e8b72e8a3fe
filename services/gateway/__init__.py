"""The gateway: takes orders and subscriptions over gRPC, answers how they stand, hands out results."""
