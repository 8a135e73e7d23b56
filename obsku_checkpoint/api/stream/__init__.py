"""The stream of a session: what is new in it, as server-sent events.

* `views.py`: who may listen, and how events are written; `admission.py`: how many at a time
* `poller.py`: who asks the database, once for all who listen
* `feed.py`: what is asked; `postgres.py`, `sqlite.py`: how each database answers
"""
