"""Training runs of seconds."""

from pathlib import Path

from training.classifier import trainer


def settings(dataset: Path, directory: Path, **changes: object) -> trainer.Settings:
    """Settings that train in seconds."""
    small: dict[str, object] = {"backbone": "tf_efficientnet_lite0", "input_size": 64, "folds": 2}
    places = {f"{name}_dir": directory / name for name in ("model", "output", "cache")}
    return trainer.Settings(dataset=dataset, **(places | small | changes))
