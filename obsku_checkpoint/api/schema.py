"""What OpenAPI says of the routes."""

from __future__ import annotations

from drf_spectacular.openapi import AutoSchema


class Schema(AutoSchema):
    """Adds what holds for every route of the API."""
