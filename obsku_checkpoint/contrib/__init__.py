"""Adapters: frameworks for agents on the tables of this app. Each is a Django app with tables of its own."""
