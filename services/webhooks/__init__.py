"""Tells the network's own servers what happens in Parley, by webhooks in the Standard Webhooks format."""
