"""An evening at a social network: people like people, what they wait for, and the scenarios that break it."""
