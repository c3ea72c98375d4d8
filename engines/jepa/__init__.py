"""Step-JEPA: predict the embedding of the next reasoning step from the steps before it."""
