"""The pages of a checkpoint: each in the file named as its template."""
