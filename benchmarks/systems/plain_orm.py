"""Django's ORM as one writes it on a first day: models, ``get``, ``create``, ``save``, ``atomic``."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import django
from django.conf import settings

from benchmarks.driver import Parameters, serve, session_of
from benchmarks.systems.ours import django_database


def adapter(url: str) -> object:
    settings.configure(DATABASES={"default": django_database(url)}, USE_TZ=True, LOGGING_CONFIG=None)
    django.setup()
    from benchmarks.systems import plain_orm_models as models  # noqa: PLC0415 - after Django's set-up

    return PlainOrm(models)


class PlainOrm:
    def __init__(self, models: Any) -> None:
        self.m = models

    def create(self, parameters: Parameters, client: int, turn: int) -> Any:
        now = now_ms()
        return self.m.Session.objects.create(
            id=str(uuid.uuid4()), title="A session", directory="/srv/agent", created_at=now, updated_at=now
        )

    def save(self, parameters: Parameters, client: int, turn: int) -> Any:
        with self.m.transaction.atomic():
            session = self.m.Session.objects.select_for_update().get(id=session_of(parameters, client))
            last = session.checkpoint_set.filter(namespace="").aggregate(last=self.m.Max("version"))["last"] or 0
            return self.m.Checkpoint.objects.create(
                id=str(uuid.uuid4()), session=session, namespace="", version=last + 1, step=turn, source="loop",
                node_results=json.dumps(parameters["state"]), pending_nodes="[]", created_at=now_ms(),
            )  # fmt: skip

    def add(self, parameters: Parameters, client: int, turn: int) -> Any:
        with self.m.transaction.atomic():
            session = self.m.Session.objects.get(id=session_of(parameters, client))
            message = self.m.Message.objects.create(session=session, created_at=now_ms(), **parameters["message"])
            session.updated_at = message.created_at
            session.save()
        return message

    def add_many(self, parameters: Parameters, client: int, turn: int) -> Any:
        with self.m.transaction.atomic():
            session, now = self.m.Session.objects.get(id=session_of(parameters, client)), now_ms()
            messages = [
                self.m.Message(session=session, created_at=now, **parameters["message"])
                for _ in range(parameters["count"])
            ]
            self.m.Message.objects.bulk_create(messages)
            session.updated_at = now
            session.save()
        return messages

    def update(self, parameters: Parameters, client: int, turn: int) -> Any:
        session = self.m.Session.objects.get(id=session_of(parameters, client))
        session.title, session.updated_at = f"Title {turn}", now_ms()
        session.save()
        return session

    def latest(self, parameters: Parameters, client: int, turn: int) -> Any:
        checkpoints = self.m.Checkpoint.objects.filter(session_id=parameters["session"])
        if parameters["namespace"] is None:
            checkpoint = checkpoints.order_by("-created_at").first()
        else:
            checkpoint = checkpoints.filter(namespace=parameters["namespace"]).order_by("-version").first()
        return checkpoint, json.loads(checkpoint.node_results)

    def by_id(self, parameters: Parameters, client: int, turn: int) -> Any:
        checkpoint = self.m.Checkpoint.objects.get(id=parameters["checkpoint"])
        return checkpoint, json.loads(checkpoint.node_results)

    def transcript(self, parameters: Parameters, client: int, turn: int) -> Any:
        messages = self.m.Message.objects.filter(session_id=parameters["session"])
        if parameters["limit"] is None:
            found = list(messages.order_by("created_at", "id"))
        else:
            found = list(messages.order_by("-created_at", "-id")[: parameters["limit"]])[::-1]
        return [(m, json.loads(m.tool_calls), json.loads(m.tool_results)) if m.tool_calls else m for m in found]

    def sessions(self, parameters: Parameters, client: int, turn: int) -> Any:
        sessions = self.m.Session.objects.filter(workspace_id=parameters["workspace"])
        return list(sessions.order_by("-updated_at")[: parameters["limit"]])

    def fork(self, parameters: Parameters, client: int, turn: int) -> Any:
        with self.m.transaction.atomic():
            origin = self.m.Checkpoint.objects.select_related("session").get(id=parameters["checkpoint"])
            messages = origin.session.message_set.filter(created_at__lte=origin.created_at).order_by("created_at", "id")
            session, checkpoint = origin.session, self.m.Checkpoint.objects.get(id=origin.id)
            session.pk, session.title = str(uuid.uuid4()), "Fork"
            session.save(force_insert=True)
            copies = []
            for message in messages:
                message.pk, message.session = None, session
                copies.append(message)
            self.m.Message.objects.bulk_create(copies)
            checkpoint.parent_id, checkpoint.pk = checkpoint.pk, str(uuid.uuid4())
            checkpoint.session, checkpoint.source = session, "fork"
            checkpoint.save(force_insert=True)
        return session


def now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    serve(adapter)
