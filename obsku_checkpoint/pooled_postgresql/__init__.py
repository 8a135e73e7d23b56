"""Django's PostgreSQL backend with the pool of a `PostgresCheckpointStore`."""
