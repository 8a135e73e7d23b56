"""What an extra installs, and what to say where it is missing. Knows no Django."""

from __future__ import annotations

from importlib.util import find_spec

from obsku_checkpoint.errors import ConfigurationError

DISTRIBUTION = "django-obsku-checkpoint"


def require(extra: str, *modules: str) -> None:
    """Raise `ConfigurationError` that names the extra, or with "" the package, where one of ``modules`` is missing."""
    for module in modules:
        if find_spec(module) is None:
            what = f"'{DISTRIBUTION}[{extra}]'" if extra else module
            raise ConfigurationError(f"{module} is not installed: pip install {what}")
