"""A Python client of Parley: `session.open_session` has all of it, `client.Device` the API alone."""
