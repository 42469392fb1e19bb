"""Which device is where: routes each user's events to the gateways that hold that user's devices."""
