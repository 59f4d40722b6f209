"""The commands of pages of the documentation, and a fresh copy of the project to run them in."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.support.repository import REPOSITORY

FENCE = re.compile(r"(?P<before>[^\n]*)\n```(?P<language>\w*)\n(?P<body>.*?)```\n", re.DOTALL)


def blocks(page: str) -> list[re.Match[str]]:
    """The blocks of code of a page: `before` is the line above, then `language` and `body`."""
    return list(FENCE.finditer((REPOSITORY / page).read_text()))


def commands(page: str, mark: str = "") -> list[str]:
    """The commands of a page: those below a comment that begins so, or those without a comment."""
    marked = rf"<!-- {mark}.* -->" if mark else r"(?!<!-- .+ -->)"
    return [
        block["body"]
        for block in blocks(page)
        if block["language"] == "sh" and re.match(marked, block["before"])
    ]


def run(block: str, folder: Path, environment: dict[str, str]) -> str:
    """Run commands as a person pastes them; fail with what they print, or return it."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clone(folder: Path) -> Path:
    """A copy of the files of the project, with links to its environments."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).exists():  # git lists what was deleted since the last commit
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            # With its time, because make compares times.
            shutil.copy2(REPOSITORY / name, folder / name, follow_symlinks=False)
    for name in (".venv", ".venv-training"):
        if (REPOSITORY / name).exists():
            (folder / name).symlink_to(REPOSITORY / name)
    return folder
