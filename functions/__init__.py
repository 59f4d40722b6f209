"""The Lambda functions: a folder for each, with its handler in app.py."""
