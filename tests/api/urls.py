from __future__ import annotations

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

urlpatterns = [
    path("api/", include("obsku_checkpoint.api.urls")),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
]
