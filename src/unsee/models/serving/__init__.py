"""Served models: the file that describes a service, its formats, the calls, and the answers that are kept."""
