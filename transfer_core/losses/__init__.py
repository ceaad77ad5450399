"""Losses as pure functions of tensors: what a method's paper writes down, and nothing else."""
