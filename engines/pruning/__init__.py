"""What is kept of the solutions that a model wrote: right, sound in their steps, different, and not of the test set."""
