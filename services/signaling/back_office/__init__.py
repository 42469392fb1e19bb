"""What the programs of the network's back office do with calls."""
