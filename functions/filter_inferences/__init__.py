"""Filter inferences by the confidence threshold."""
