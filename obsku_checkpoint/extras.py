"""What an extra installs, and what to say where it is missing. Knows no Django."""

from __future__ import annotations

from importlib.util import find_spec

from obsku_checkpoint.errors import ConfigurationError

DISTRIBUTION = "django-obsku-checkpoint"


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False


def require(extra: str, *modules: str) -> None:
    """Raise `ConfigurationError` that names the extra, or with "" the package, where one of ``modules`` is missing."""
    for module in modules:
        if not is_installed(module):
            what = f"'{DISTRIBUTION}[{extra}]'" if extra else module
            raise ConfigurationError(f"{module} is not installed: pip install {what}")
