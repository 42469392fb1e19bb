"""The network's word on what people write, before it is stored; and what it held back for a review."""
