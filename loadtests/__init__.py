"""Named load scenarios, the demo, and the headless client that they stand on."""
