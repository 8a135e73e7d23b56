"""A project with django-tenants, whose agents belong to tenants."""

from __future__ import annotations

from tests.hosts.settings import (
    ALLOWED_HOSTS,
    DATABASES,
    LOGGING,
    ROOT_URLCONF,
    SECRET_KEY,
    USE_TZ,
)

__all__ = ["ALLOWED_HOSTS", "DATABASES", "LOGGING", "ROOT_URLCONF", "SECRET_KEY", "USE_TZ"]

SHARED_APPS = ["django_tenants", "django.contrib.contenttypes", "tests.hosts.tenants"]
TENANT_APPS = ["obsku_checkpoint"]
INSTALLED_APPS = SHARED_APPS + TENANT_APPS
TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware"]
DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
