"""What is taken home: a model as files that others can run, check and read, without this app."""
