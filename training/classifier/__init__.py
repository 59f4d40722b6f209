"""What runs in the training container: features, head, fine-tuning, calibration, export."""
