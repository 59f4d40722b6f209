"""Make docs/images/console.webp and courier.webp from screenshots of `make test-web`.

.venv/bin/python docs/images/record_pages.py
"""

import sys
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parent
SCREENSHOTS = FOLDER.parents[1] / "build" / "screenshots"
NAMES = "console", "courier"  # written by tests/web/test_local_cloud.py


def main() -> int:
    """Convert both; a WebP is a third of the PNG."""
    try:
        for name in NAMES:
            Image.open(SCREENSHOTS / f"{name}.png").save(FOLDER / f"{name}.webp", quality=85)
    except FileNotFoundError as error:
        print(f"{error.filename} is missing: run `make test-web` first", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
