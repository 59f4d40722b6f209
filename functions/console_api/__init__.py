"""The API of the console."""
