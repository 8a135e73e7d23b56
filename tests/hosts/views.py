"""Views of the small projects: each writes a session of its tenant, and answers with what it finds."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.urls import path

from obsku_checkpoint.store import DjangoCheckpointStore

store = DjangoCheckpointStore()


def _tenant(request: HttpRequest) -> str:
    return request.get_host().partition(".")[0]


def sync_view(request: HttpRequest) -> JsonResponse:
    tenant = _tenant(request)
    session = store.create_session(".", workspace_id=tenant)
    store.add_message(session.id, "user", tenant)
    store.save_checkpoint(session.id, step=0, node_results={})
    return JsonResponse(
        {
            "written": [message.content for message in store.get_messages(session.id)],
            "workspaces": sorted({session.workspace_id or "" for session in store.list_sessions(limit=100)}),
        }
    )


async def async_view(request: HttpRequest) -> JsonResponse:
    tenant = _tenant(request)
    session = await store.acreate_session(".", workspace_id=tenant)
    await store.aadd_message(session.id, "user", tenant)
    await store.asave_checkpoint(session.id, step=0, node_results={})
    return JsonResponse(
        {
            "written": [message.content for message in await store.aget_messages(session.id)],
            "workspaces": sorted({session.workspace_id or "" for session in await store.alist_sessions(limit=100)}),
        }
    )


urlpatterns = [path("sync", sync_view), path("async", async_view)]
