"""What a mask does to the network's input: an edit a file, and the perturbations that it blends in."""
