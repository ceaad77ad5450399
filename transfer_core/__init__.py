"""Transfer Lab's core: train, watch, inspect and compare image classifiers by transfer learning."""

__version__ = "0.1.0"
