"""Workloads: named, hashed sets of items. `load` finds them by name or path."""
