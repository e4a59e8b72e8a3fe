"""SubscriptionService: the newsletter."""
