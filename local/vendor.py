"""Fetch the libraries that web/vendor.json names, with npm, and lock their hashes.

If the version of a package stays the same, its archive must have the hash of the lock. To change
the version, edit it and remove the package's `integrity`.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
LOCK = PROJECT / "web" / "vendor.json"


def integrity(content: bytes) -> str:
    """The hash as npm and browsers write it: sha512, Base64."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


def wrong_files(project: Path, lock: dict[str, Any]) -> list[str]:
    """Vendored files, relative to `project`, that are missing or differ from the lock."""
    found = []
    for package in lock["packages"]:
        for name, expected in package["files"].items():
            path = project / package["folder"] / name
            if not path.is_file() or integrity(path.read_bytes()) != expected:
                found.append(path.relative_to(project).as_posix())
    return found


def fetch(package: dict[str, Any], npm: str, folder: Path) -> None:
    """Write the package's files and put their hashes into `package`. Raises ValueError."""
    release = f"{package['name']}@{package['version']}"
    done = subprocess.run(
        [npm, "pack", "--silent", "--pack-destination", folder, release],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"npm cannot fetch {release}: {done.stderr.strip()}")
    archive = folder / done.stdout.strip().splitlines()[-1]
    found = integrity(archive.read_bytes())
    if package.setdefault("integrity", found) != found:
        raise ValueError(f"{release} is not what the lock names: its hash is {found}")
    with tarfile.open(archive) as members:
        for name in package["files"]:
            member = members.extractfile(f"package/{name}")
            if member is None:
                raise ValueError(f"{release} has no file {name}")
            content = member.read()
            path = PROJECT / package["folder"] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            package["files"][name] = integrity(content)


def main() -> None:
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("vendor: npm is needed: install it with your system's package manager")
    lock = json.loads(LOCK.read_text())
    with tempfile.TemporaryDirectory() as folder:
        for package in lock["packages"]:
            try:
                fetch(package, npm, Path(folder))
            except (KeyError, ValueError) as error:
                sys.exit(f"vendor: {error}")
            print(f"{package['name']} {package['version']}: {len(package['files'])} files")
    LOCK.write_text(json.dumps(lock, indent=2) + "\n")


if __name__ == "__main__":
    main()
