"""A Django project that uses obsku_checkpoint: an agent that scans directories for security problems."""
