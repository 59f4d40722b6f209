"""Train on SageMaker and deploy the model: `python -m training.launch`."""
