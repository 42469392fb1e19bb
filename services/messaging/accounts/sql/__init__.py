"""The statements of exports and deletions, by what they are about."""
