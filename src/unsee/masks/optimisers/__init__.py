"""How a mask descends: a protocol, and an optimiser a file."""
