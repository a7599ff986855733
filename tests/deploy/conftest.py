"""What the tests of packaging and of a release share."""

from __future__ import annotations

import pytest

from tests.deploy.build import Built, build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Wheel and sdist of what is in the repository."""
    return build(tmp_path_factory.mktemp("built"))
