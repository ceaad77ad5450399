"""Pretrained backbones: which there are, where their weights come from, how they are cut into stages."""
