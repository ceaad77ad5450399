"""From probabilities per image to every figure a report shows."""
