"""From files to a manifest, from a manifest to a split, from a split to batches."""
