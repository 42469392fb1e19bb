"""The parts of `make load-routing`: devices straight on the gateways, events straight into delivery.v1."""
