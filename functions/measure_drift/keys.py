"""Where in the photos' bucket the baselines of a model, `<name>/<version>`, are kept."""


def own_key(model: str) -> str:
    """The key of the model's own metadata, which holds the baseline of its validation photos."""
    return f"baselines/{model}.json"


def traffic_key(model: str) -> str:
    """The key of the baseline that `operations.baseline` makes of traffic; it comes first."""
    return f"baselines/{model}/traffic.json"
