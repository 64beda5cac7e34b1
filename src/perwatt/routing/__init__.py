"""Which pair should answer what: what a router saves, and what its errors cost."""
