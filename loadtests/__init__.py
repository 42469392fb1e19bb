"""Named load scenarios, drills, and the demo."""
