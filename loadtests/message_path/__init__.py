"""What `loadtests.messages` is made of: the devices, the parts of a round, the proof, the figures."""
