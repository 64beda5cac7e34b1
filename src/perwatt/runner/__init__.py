"""Orchestration: the only layer that starts engines, threads and load (DESIGN §3)."""
