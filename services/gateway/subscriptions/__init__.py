"""SubscriptionService: subscriptions to the newsletter."""
