"""The local commands, as make calls them."""

from types import ModuleType

import pytest

from local import demo, keep, run

AWKWARD_NAME = 'with space, it\'s "new"'  # of a folder
COMMANDS = [(run, []), (keep, ["up"]), (demo, [])]


def carried_out(module: ModuleType, *arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [module.__name__, *arguments])
        status: int = module.main()
        return status
