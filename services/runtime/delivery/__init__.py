"""Hands deliveries of `delivery.v1` to presence as soon as they are committed, ahead of the topic."""
