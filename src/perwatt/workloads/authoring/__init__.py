"""How the `core` workload is made: hand-written rows and seeded templates. Not used at run time."""
