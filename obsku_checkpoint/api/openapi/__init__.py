"""What OpenAPI says of the API.

* `operations.py`: of each method of each route
* `schema.py`: of all of them
"""
