"""What executes a run: this process, or Ray."""
