"""Who does a run's work: this process, or Ray."""
