"""What OpenAPI says of the API.

* `operations.py`, `memory_operations.py`: of each handler
* `schema.py`: how that is said, and what holds for all of them
"""
