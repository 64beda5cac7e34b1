"""The metering address, `perwatt serve`: anybody's requests passed on, with joules for each."""
