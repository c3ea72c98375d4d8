"""From one gradient a task to one update: what conflicts, and what is done about it."""
