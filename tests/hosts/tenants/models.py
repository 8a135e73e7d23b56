"""The tenants of a project with django-tenants: each has a schema."""

from __future__ import annotations

from django_tenants.models import DomainMixin, TenantMixin  # type: ignore[import-untyped]  # it has no types


class Tenant(TenantMixin):  # type: ignore[misc]  # as above
    pass


class Domain(DomainMixin):  # type: ignore[misc]  # as above
    pass
