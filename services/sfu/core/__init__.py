"""Who receives what, and how its packets are rewritten: standard library only, no IO, `now` is an argument."""
