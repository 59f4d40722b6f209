"""Commands for a deployed stack: `python -m operations.delete`, `.review` and `.baseline`."""
