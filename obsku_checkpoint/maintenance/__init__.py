"""What a team does with its sessions as a whole: the functions behind ``manage.py checkpoints``."""

from obsku_checkpoint.maintenance.export import export_lines
from obsku_checkpoint.maintenance.importing import ImportResult, import_lines

__all__ = ["ImportResult", "export_lines", "import_lines"]
