"""The functions, imported anew for a test."""

import importlib
import sys
from types import ModuleType

from tests.support.repository import REPOSITORY

FUNCTIONS = REPOSITORY / "functions"


def load_module(function: str, module: str) -> ModuleType:
    """Import `functions/<function>/<module>.py` anew, with the clients and settings of the test."""
    package = f"functions.{function}"
    # The package too: `from package import module` reads the attributes that it has already.
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{package}.")]:
        del sys.modules[name]
    return importlib.import_module(f"{package}.{module}")
