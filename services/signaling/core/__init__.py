"""What a call may do and where its media goes. Standard library only; time and ids are arguments."""
