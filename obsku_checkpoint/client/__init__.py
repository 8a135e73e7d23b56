"""`HTTPCheckpointStore`: the store over the REST API, for agents that hold no database credentials.

Needs the extra ``client``; knows no Django.

* `sessions.py`, `messages.py`, `transcripts.py`, `checkpoints.py`, `summaries.py`, `memory.py`: its methods, one file a
  subject
* `connections.py`: how a method's steps are carried out, by threads and by event loops
* `request.py`, `response.py`: what is sent, and what comes back: records, and the store's errors
* `limits.py`: what a server may send at most
* `retries.py`: what is asked once more, and when
"""

from obsku_checkpoint.extras import require

require("client", "httpx")

# They need the extra.
from obsku_checkpoint.client.checkpoints import Checkpoints  # noqa: E402
from obsku_checkpoint.client.memory import Memory  # noqa: E402
from obsku_checkpoint.client.messages import Messages  # noqa: E402
from obsku_checkpoint.client.summaries import Summaries  # noqa: E402
from obsku_checkpoint.client.transcripts import Transcripts  # noqa: E402
from obsku_checkpoint.protocols import CheckpointStore  # noqa: E402

__all__ = ["HTTPCheckpointStore"]


class HTTPCheckpointStore(Summaries, Messages, Transcripts, Checkpoints, Memory, CheckpointStore):
    """The checkpoint store of a server that `obsku_checkpoint.api` runs on.

    Values are checked before they are sent. Reads, and writes under an id, are tried again after a broken connection,
    a timeout or a 503; a session, checkpoint, entity or fact without an id of the caller's gets one here. What cannot
    be repeated safely (`add_message`, `add_messages`, `fork`, `fork_at`) is tried again only if it was certainly not
    carried out; otherwise `StoreUnavailableError` says that it may have been. Some answers are not those of a first
    try: `delete_session`, `delete_entity` and `delete_fact` give False where an earlier try had deleted it, `repair` 0
    where one had repaired it, and `update_session`, `update_entity` and an upsert of `save_entity` may undo a change
    that another client has made between two tries.

    A context manager, sync and async.
    """
