"""Serves the pages of web/."""
