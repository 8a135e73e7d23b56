"""`HTTPCheckpointStore`: the protocol, over the REST API."""

from __future__ import annotations

from obsku_checkpoint.client.checkpoints import Checkpoints
from obsku_checkpoint.client.messages import Messages
from obsku_checkpoint.client.summaries import Summaries
from obsku_checkpoint.protocols import CheckpointStore


class HTTPCheckpointStore(Summaries, Messages, Checkpoints, CheckpointStore):
    """The checkpoint store of a server that `obsku_checkpoint.api` runs on.

    Values are checked before they are sent. Reads, and writes under an id, are tried again after a broken connection,
    a timeout or a 503; a session or checkpoint without an id of the caller's gets one here. What cannot be repeated
    safely (`add_message`, `add_messages`, `fork`) is tried again only if it was certainly not carried out; otherwise
    `StoreUnavailableError` says that it may have been. Two answers are not those of a first try: `delete_session`
    gives False where an earlier try had deleted the session, and `update_session` may undo a change that another
    client has made between two tries.

    A context manager, sync and async.
    """
