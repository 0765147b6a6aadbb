"""Kedro datasets of our own: handles to content-addressed folders, and the manifest's validator."""
