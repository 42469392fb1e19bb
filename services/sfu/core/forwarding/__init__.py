"""A publisher's packets, and each subscriber's copies of them."""
