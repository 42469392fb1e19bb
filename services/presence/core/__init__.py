"""Pure decisions: who is where, in which state, who watches whom, and what is sent to which gateway."""
