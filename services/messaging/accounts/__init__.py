"""All of a person's data: taken along, or deleted, by jobs that go on after any crash."""
