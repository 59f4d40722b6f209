"""Train a model for your own labels on this machine: from a folder of photos to models/<name>/.

    make train PHOTOS=my/photos NAME=my_model
    .venv-training/bin/python -m training.local --photos my/photos --name my_model

A new head on a pretrained backbone, in minutes without a GPU. The folder has one folder of photos
for each label. A label `other` for photos of anything else lets the model reject them. If folders
below the labels name where photos are from (bicycle/shop-a/1.jpg), the report says what the model
does on photos from new sources.

If photos of a label are in folders of other names, name the label before them:

    make train PHOTOS=my/photos NAME=my_model ARGS="--label other my/food my/posts"

The shipped model. `--fine-tune` also trains the backbone gently: minutes on a GPU, hours without.
If a run is interrupted, the next one continues.

    .venv-training/bin/python -m training.local \
        --name vehicles --model-name scones-vehicle-classifier --version 3.2.0 --fine-tune \
        --photos ../shared/data/photos --photos ../shared/data/photos_more \
        --cifar ../shared/data/cifar-100-binary-subset.tar.xz
"""

import argparse
import csv
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import torch

from training.classifier.fine_tuning import FineTuning
from training.classifier.leave_out import FOLDS
from training.classifier.train import Result, positive, train
from training.classifier.trainer import Settings
from training.dataset import folders
from training.dataset.records import DatasetError
from training.dataset.splits import TEST_SHARE
from training.dataset.stage import stage, summary
from training.report import fill_card

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
SHOWN = 10  # files that were left out
CARD = """# Model card: {name}

<!-- left-out sources: start -->
<!-- left-out sources: end -->
"""


def train_folder(
    photos: list[Path],
    settings: Settings,
    *,
    labelled: Iterable[tuple[str, Path]] = (),
    cifar_100: Path | None = None,
    test_share: float = TEST_SHARE,
) -> Result:
    """Stage folders of photos and train on them; the card of the model is its report.

    `photos` have a folder for each label; `labelled` are labels and folders of their photos.

    Raises:
        DatasetError: something that the user can fix.

    """
    description = stage(
        photos, settings.dataset, labelled=labelled, cifar_100=cifar_100, test_share=test_share
    )
    print(summary(description))
    print_excluded(settings.dataset)
    result = train(settings)
    card = settings.model_dir / "MODEL_CARD.md"
    if not card.is_file():
        card.write_text(CARD.format(name=settings.name))
    fill_card(card, "left-out sources", result.report)
    return result


def print_excluded(dataset: Path) -> None:
    """Name the first files that were left out, and why."""
    with (dataset / "excluded.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows[:SHOWN]:
        print(f"  left out: {row['file']}: {row['reason']}")
    if len(rows) > SHOWN:
        print(f"  and {len(rows) - SHOWN} more: see {dataset / 'excluded.csv'}")


def share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 0.5:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 0.5")
    return number


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--photos",
        type=Path,
        action="append",
        default=[],
        help="folder with a folder of photos for each label; repeatable",
    )
    folders.add_label_option(parser)
    parser.add_argument("--name", required=True, help="of the model: models/<name>/")
    parser.add_argument("--model-name", help="in responses and records (default: --name)")
    parser.add_argument("--cifar", type=Path, help="CIFAR-100's binary archive or folder")
    parser.add_argument("--version", default="1.0.0", help="of the model (default: %(default)s)")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: %(default)s")
    parser.add_argument("--build", type=Path, default=Path("build"), help="default: %(default)s")
    parser.add_argument("--backbone", default=Settings.backbone, help="default: %(default)s")
    parser.add_argument(
        "--input-size",
        type=positive,
        default=Settings.input_size,
        help="pixels a side; more of them show smaller details (default: %(default)s)",
    )
    parser.add_argument(
        "--fine-tune", action="store_true", help="fine-tune the backbone too: for a GPU"
    )
    parser.add_argument(
        "--test-share",
        type=share,
        default=TEST_SHARE,
        help="share of the photos that are kept for the gate of a retraining, from 0 to 0.5. "
        "If a label has few photos, give 0: cross-validation measures (default: %(default)s)",
    )
    parser.add_argument(
        "--folds", type=positive, default=FOLDS, help="parts of the sources (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=positive, help="CPU threads (default: one for each processor)"
    )
    options = parser.parse_args(arguments)
    if not options.photos and not options.label:
        parser.error("give --photos or --label")
    if not NAME.fullmatch(options.name):
        parser.error(
            f"--name is {options.name!r}: use up to 32 small letters, digits, - and _, "
            "a letter first"
        )
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse_arguments(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    settings = Settings(
        dataset=options.build / options.name / "dataset",
        model_dir=options.models / options.name,
        output_dir=options.build / options.name / "report",
        cache_dir=options.build / "cache",
        name=options.model_name or options.name,
        version=options.version,
        backbone=options.backbone,
        input_size=options.input_size,
        fine_tuning=FineTuning() if options.fine_tune else None,
        folds=options.folds,
    )
    try:
        result = train_folder(
            options.photos,
            settings,
            labelled=folders.labelled(options.label),
            cifar_100=options.cifar,
            test_share=options.test_share,
        )
    except (DatasetError, OSError, ValueError) as error:
        sys.exit(f"train: {error}")
    print(f"\n{result.report}")
    folder = settings.model_dir
    print(
        f"the model is in {folder}. Try it:\n"
        f"  make serve MODEL={folder}\n"
        "  curl --data-binary @photo.jpg http://127.0.0.1:8080/invocations\n"
        "To deploy it:\n"
        f"  1. In samconfig.toml, set for {options.name} (docs/use-cases.md, step 3 adds it)\n"
        f"     Labels={','.join(result.metadata['labels'])} "
        f"ConfidenceThreshold={result.metadata['threshold']}\n"
        f"  2. make deploy USE_CASE={options.name}\n"
        f'  3. make launch USE_CASE={options.name} ARGS="--model {folder}"'
    )


if __name__ == "__main__":
    main()
