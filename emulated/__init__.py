"""Hardware that is not here, emulated below its vendor's interface, with a truth that is known."""
