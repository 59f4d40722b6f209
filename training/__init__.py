"""From photos to an endpoint: stage, train, evaluate, deploy (`python -m training.launch`)."""
