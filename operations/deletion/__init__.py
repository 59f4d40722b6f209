"""What `python -m operations.delete` finds in an account, and how each thing is deleted."""
