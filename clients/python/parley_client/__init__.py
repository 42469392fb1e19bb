"""A real endpoint without a browser: logs in, follows its event stream, sends messages, and has calls with media."""
