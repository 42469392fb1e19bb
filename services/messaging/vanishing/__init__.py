"""Messages that go: by their conversation's time, and by the network's retention policy."""
