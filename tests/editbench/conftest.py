"""What tests of EditBench share."""

import pytest

from .studio import Studio


@pytest.fixture(scope="package")
def studio():
    """With the demo model, loaded once; a test that changes the network puts it back."""
    return Studio()
