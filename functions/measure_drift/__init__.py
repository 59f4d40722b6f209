"""Measure drift and accuracy of the model in service."""
