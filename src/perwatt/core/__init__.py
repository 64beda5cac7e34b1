"""Clock, units, records, estimates, spec, registry, protocols, errors: shared by all."""
