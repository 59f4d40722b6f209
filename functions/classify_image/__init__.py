"""Classify a serialized photo with the SageMaker endpoint."""
