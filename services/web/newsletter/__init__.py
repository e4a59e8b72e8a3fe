"""The pages of the newsletter: subscribe, confirm, unsubscribe."""
