"""The admin and the API, as in a project that has both."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("api/", include("obsku_checkpoint.api.urls"))]
