"""What the pages have in common on which a person lets a run go on, through the project's hook
``OBSKU_CHECKPOINT["RESUME"]``, or the adapter that saved it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from obsku_checkpoint import conf, run_state
from obsku_checkpoint.admin import history
from obsku_checkpoint.admin.base import Page
from obsku_checkpoint.admin.checkpoint.change_form import is_newest
from obsku_checkpoint.admin.checkpoint.name import GOES_ON
from obsku_checkpoint.errors import CheckpointCorruptionError, CheckpointStoreError, ConfigurationError
from obsku_checkpoint.graph.results import described
from obsku_checkpoint.models import Checkpoint
from obsku_checkpoint.printable import plain
from obsku_checkpoint.records import CheckpointRecord
from obsku_checkpoint.run_state import RunState
from obsku_checkpoint.store.extensions import resumers

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WholeRun:
    """A run, read whole."""

    record: CheckpointRecord
    state: RunState

    @property
    def can_go_on(self) -> bool:
        """Something is to be done that needs no answer first."""
        return self.state.status in GOES_ON


class RunPage(Page):
    """Its view is in no transaction of any database, whatever ``ATOMIC_REQUESTS`` says: a run would wait for rows that
    its own request has locked, and what somebody did would be forgotten with the transaction of a hook that failed.
    """

    def url(self) -> URLPattern:
        pattern = super().url()
        for alias in connections:
            pattern.callback = transaction.non_atomic_requests(using=alias)(pattern.callback)
        return pattern

    def run_of(self, checkpoint_id: str) -> WholeRun | None:
        """None where the checkpoint is gone, or cannot be read."""
        record = self.admin.store.get_checkpoint(checkpoint_id, on_corrupt="keep")
        try:
            return WholeRun(record, run_state.read(record)) if record else None
        except CheckpointCorruptionError:
            return None

    def newest_run(self, checkpoint: Checkpoint) -> WholeRun | None:
        """None as well where the run has gone on since."""
        return self.run_of(checkpoint.pk) if is_newest(self.database, checkpoint) else None

    def refuse(self, request: HttpRequest, subject: Checkpoint, reason: str) -> HttpResponse:
        """The page that says in words what this person may not do."""
        response = self.render(request, subject, {"reason": reason}, "admin/obsku_checkpoint/checkpoint/refused.html")
        response.status_code = 403
        return response

    def note(
        self,
        request: HttpRequest,
        checkpoint: Checkpoint | CheckpointRecord,
        deed: history.Deed,
        what: str,
        *,
        question: str | None = None,
        session_id: str | None = None,
    ) -> None:
        """Keep what the person does with the checkpoint: in its session's history, or another's."""
        id = session_id or checkpoint.session_id
        session = self.admin.store.get_session(id, on_corrupt="keep")
        title = session.title if session else None
        history.note(request, id, title, deed, what, checkpoint_id=checkpoint.id, question=question)

    def resume(self, request: HttpRequest, checkpoint: CheckpointRecord, answers: Mapping[str, Any], done: str) -> None:
        """Call the hook, or the adapter of the run. The person is told ``done``, or what it raised."""
        try:
            self._resumer(checkpoint)(checkpoint, dict(answers))
        except CheckpointStoreError as error:
            logger.warning("the hook RESUME was refused for checkpoint %s: %s", checkpoint.id, type(error).__name__)
            self._failed(request, checkpoint, str(error))
        except Exception as error:  # the project's code may raise anything
            logger.exception("the hook RESUME failed for checkpoint %s", checkpoint.id)
            self._failed(request, checkpoint, described(error))
        else:
            messages.success(request, done)

    def _resumer(self, checkpoint: CheckpointRecord) -> Callable[[CheckpointRecord, dict[str, Any]], Any]:
        """What goes on with the run of a checkpoint."""
        by, hook = run_state.read(checkpoint).by, conf.current().RESUME
        if by in resumers:
            return partial(import_string(resumers[by]), self.admin.store)
        if hook is None:
            raise ConfigurationError(f"{conf.NAME}['RESUME'] is not set")
        resumer: Callable[[CheckpointRecord, dict[str, Any]], Any] = import_string(hook)
        return resumer

    def _failed(self, request: HttpRequest, checkpoint: CheckpointRecord, reason: str) -> None:
        self.note(request, checkpoint, "failure of the hook", reason)
        text = _("The project's function for going on has failed: %(reason)s")
        messages.error(request, text % {"reason": plain(reason, 500)})
