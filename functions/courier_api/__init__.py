"""The API of the courier's page."""
