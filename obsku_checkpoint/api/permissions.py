"""Who may do what, unless the setting ``PERMISSION_CLASSES`` says otherwise."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import DjangoModelPermissions
from rest_framework.request import Request


class ModelPermissions(DjangoModelPermissions):
    """Signed-in users with Django's permissions for the model; reading needs the view permission.

    A route that shows records of further models (``view.shows``) needs their view permissions as well, and one that
    changes records with a POST (``view.changes``) their change permissions. A POST that only asks (``view.asks``) needs
    what reading needs.
    """

    perms_map = {
        **DjangoModelPermissions.perms_map,
        "GET": ["%(app_label)s.view_%(model_name)s"],
        "HEAD": ["%(app_label)s.view_%(model_name)s"],
    }

    def has_permission(self, request: Request, view: Any) -> bool:
        wanted = [name for model in view.shows for name in self.get_required_permissions("GET", model)]
        if request.method == "POST":
            wanted += [name for model in view.changes for name in self.get_required_permissions("PATCH", model)]
        if view.asks and request.method == "POST":
            wanted += self.get_required_permissions("GET", view.queryset.model)
            return bool(request.user.is_authenticated and request.user.has_perms(wanted))
        return super().has_permission(request, view) and bool(request.user.has_perms(wanted))
