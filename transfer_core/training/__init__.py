"""One loop plays any strategy's phases; everything it needs to repeat a run is in the spec."""
