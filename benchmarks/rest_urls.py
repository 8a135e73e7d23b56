"""What `rest.py` measures: our routes, and the plain views beside them."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet

from obsku_checkpoint import conf
from obsku_checkpoint.api.permissions import ModelPermissions
from obsku_checkpoint.models import Message, Session


class SessionSerializer(serializers.ModelSerializer[Session]):
    metadata = serializers.JSONField(allow_null=True, required=False)

    class Meta:
        model = Session
        fields = "__all__"


class MessageSerializer(serializers.ModelSerializer[Message]):
    tool_calls = serializers.JSONField(allow_null=True, required=False)
    tool_results = serializers.JSONField(allow_null=True, required=False)

    class Meta:
        model = Message
        fields = "__all__"
        read_only_fields = ["created_at"]


class Pages(CursorPagination):
    page_size = conf.current().PAGE_SIZE
    ordering = ("-updated_at", "-id")


class PlainPermissions(ModelPermissions):
    def has_permission(self, request: Request, view: Any) -> bool:
        view.shows, view.changes, view.asks = (), (), False
        return super().has_permission(request, view)


class Sessions(ModelViewSet[Session]):
    queryset = Session.objects.all()
    serializer_class = SessionSerializer
    pagination_class = Pages
    permission_classes = [PlainPermissions]


class Messages(ModelViewSet[Message]):
    queryset = Message.objects.all()
    serializer_class = MessageSerializer
    permission_classes = [PlainPermissions]

    def perform_create(self, serializer: Any) -> None:
        serializer.save(created_at=timezone.now())


router = SimpleRouter()
router.register("sessions", Sessions)
router.register("messages", Messages)
urlpatterns = [path("api/", include("obsku_checkpoint.api.urls")), path("plain/", include(router.urls))]
