from pathlib import Path

import pytest

from tests.local.studies import AStudy


@pytest.fixture
def a_study(tmp_path: Path) -> AStudy:
    return AStudy(tmp_path)
