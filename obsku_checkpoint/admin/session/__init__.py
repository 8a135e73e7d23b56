"""The pages of sessions: each in the file named as its template."""
