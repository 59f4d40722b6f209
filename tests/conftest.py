"""Show the compared values if an assert of a helper fails, as pytest does for those of a test."""

import pytest

pytest.register_assert_rewrite("tests.support")
