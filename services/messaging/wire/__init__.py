"""Between the kernel's types and bytes: protobufs of the API, events, and what columns hold."""
