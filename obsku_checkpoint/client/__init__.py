"""`HTTPCheckpointStore`: the store over the REST API, for agents that hold no database credentials.

Needs the extra ``client``; knows no Django.

* `store.py`: the store; `sessions.py`, `messages.py`, `checkpoints.py`: its methods, one file a subject
* `connections.py`: how a method's steps are carried out, by threads and by event loops
* `retries.py`: what is asked once more, and when
* `answers.py`: what comes back: records, and the store's errors
"""

from obsku_checkpoint.extras import require

require("client", "httpx")

from obsku_checkpoint.client.store import HTTPCheckpointStore  # noqa: E402 - it needs the extra

__all__ = ["HTTPCheckpointStore"]
