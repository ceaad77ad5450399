"""Transfer Lab."""
