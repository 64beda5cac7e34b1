"""Energy of the domains shared out to requests, phases and idle. Pure functions over arrays."""
