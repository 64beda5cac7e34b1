"""Readers of joules and watts, one file each, and the sampler that reads them on time."""
