"""The REST API: everything the store does, over HTTP. Needs the extra ``api``.

* `urls.py`: the routes (`obsku_checkpoint.url_ids`: how an id stands in one)
* `sessions.py`, `messages.py`, `checkpoints.py`: the views, one file a subject; `views.py`: what all have in common
* `stream/`: what is new in a session, as server-sent events
* `permissions.py`: who may do what (`obsku_checkpoint.scope`: which workspaces a request sees)
* `etags.py`: how two people do not overwrite each other
* `serializers.py`: what goes in and out; `json_plus.py`: how values with types do
* `filters.py`, `pagination.py`: which records, and how many at a time
* `errors.py`: the store's errors in HTTP's words
* `openapi/`: what OpenAPI says of each method of each route
"""

from obsku_checkpoint.extras import require

require("api", "rest_framework", "django_filters", "drf_spectacular")
