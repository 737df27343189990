"""Networks that are explained."""
