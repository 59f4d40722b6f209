"""Keys of the baselines of a model, `<name>/<version>`, in PhotosBucket."""


def own_key(model: str) -> str:
    """Return the key of the model's own metadata, with the baseline of its validation photos."""
    return f"baselines/{model}.json"


def traffic_key(model: str) -> str:
    """Return the key of the baseline of traffic (`operations.baseline`), which is used first."""
    return f"baselines/{model}/traffic.json"
