"""Draw docs/images/run.svg and docs/images/map.svg from a real `make run`.

    .venv/bin/python docs/images/record.py

It takes what `make run` prints and the map that it draws. Paths of this machine are cut out.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent
COLUMNS = 124
# The default refers to web fonts: a README shows no photo that loads anything.
SVG_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def main() -> int:
    """Run, and draw what came out."""
    settings = {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TTY_INTERACTIVE": "0"}
    done = subprocess.run(
        ["make", "run", *sys.argv[1:]],  # noqa: S607
        cwd=PROJECT,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
        return 1
    (FOLDER / "run.svg").write_text(terminal(f"$ make run\n{done.stdout}"), "utf-8")
    page = re.search(r"Map of the \w+: (\S+)", done.stdout)
    if page is None:
        print("make run named no map", file=sys.stderr)
        return 1
    (FOLDER / "map.svg").write_text(route_map(Path(page[1]).read_text("utf-8")), "utf-8")
    return 0


def terminal(output: str) -> str:
    """The SVG of a terminal that shows this output."""
    output = output.replace(f"{PROJECT}/", "")
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(output), soft_wrap=True)
    return console.export_svg(title="make run", code_format=SVG_FORMAT)


def route_map(page: str) -> str:
    """The map of the page as a photo of its own: the drawing with the style sheet of the page."""
    style = page[page.index("<style>") : page.index("</style>") + len("</style>")]
    drawing = page[page.index("<svg") : page.index("</svg>") + len("</svg>")]
    head, body = drawing.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg">{style}{body}\n'


if __name__ == "__main__":
    sys.exit(main())
