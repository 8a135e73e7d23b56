"""Sessions whose two times differ by known milliseconds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import models

from obsku_checkpoint.models import Session
from tests.times.expressions import MOMENT, SESSIONS


@pytest.fixture
def sessions(using: str) -> models.QuerySet[Session]:
    rows = Session.objects.using(using)
    for id, later in SESSIONS.items():
        rows.create(id=id, directory=".", created_at=MOMENT, updated_at=MOMENT + timedelta(milliseconds=later))
    return rows.all()
