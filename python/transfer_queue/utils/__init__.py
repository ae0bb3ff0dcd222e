"""Helpers that users import by module path."""
