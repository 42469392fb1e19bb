"""What is lost, what comes back, and how soon, when a whole part of Parley is gone."""
