"""What a team does with its sessions as a whole: the functions behind ``manage.py checkpoints``."""

from obsku_checkpoint.maintenance.agents_sessions import agents_lines
from obsku_checkpoint.maintenance.chat import chat_lines
from obsku_checkpoint.maintenance.check import check
from obsku_checkpoint.maintenance.erasing import erase
from obsku_checkpoint.maintenance.export import export_lines
from obsku_checkpoint.maintenance.figures import Stats, recent_stats, stats
from obsku_checkpoint.maintenance.findings import Finding
from obsku_checkpoint.maintenance.importing import ImportResult, import_lines
from obsku_checkpoint.maintenance.indexing import EmbeddingIndex, index_embeddings
from obsku_checkpoint.maintenance.pruning import prune

__all__ = [
    "EmbeddingIndex",
    "Finding",
    "ImportResult",
    "Stats",
    "agents_lines",
    "chat_lines",
    "check",
    "erase",
    "export_lines",
    "import_lines",
    "index_embeddings",
    "prune",
    "recent_stats",
    "stats",
]
