"""Public keys of devices, and sealed frame keys that devices in a call hand each other."""
