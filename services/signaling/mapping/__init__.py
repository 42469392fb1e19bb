"""Between the core's types and their protobuf form."""
