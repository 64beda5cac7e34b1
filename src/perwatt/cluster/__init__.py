"""More than one machine: runs fanned out to nodes, and study work sharded, on Ray."""
