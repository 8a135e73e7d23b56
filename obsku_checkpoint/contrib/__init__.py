"""Adapters: frameworks for agents on the tables of this app. Each is a Django app with tables of its own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from django.conf import ENVIRONMENT_VARIABLE, settings

from obsku_checkpoint.errors import ConfigurationError
from obsku_checkpoint.extras import DISTRIBUTION, require


def offered(package: str, name: str, modules: Mapping[str, str], *, extra: str, framework: str) -> Any:
    """What a package's ``__getattr__`` returns: an object of one of its ``modules``, by the object's name.

    They are imported when they are asked for: Django imports an app's package before there are models, and the app may
    be installed where the ``framework`` is not. In a program without Django settings, `obsku_checkpoint.postgres` sets
    Django up. Raises `ConfigurationError` where the framework is missing, or its version does not fit.
    """
    if name not in modules:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    require(extra, framework)
    if not settings.configured and not os.environ.get(ENVIRONMENT_VARIABLE):
        importlib.import_module("obsku_checkpoint.postgres")
    try:
        module = importlib.import_module(f"{package}.{modules[name]}")
    except ImportError as error:
        advice = f"pip install '{DISTRIBUTION}[{extra}]'"
        raise ConfigurationError(f"the version of {framework} does not fit: {advice} ({error})") from error
    return getattr(module, name)
