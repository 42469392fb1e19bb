"""Pure decisions: who is here and who routes them, what waits for a device, who is let in, how streams end."""
