"""What the functions behind the HTTP API share."""
