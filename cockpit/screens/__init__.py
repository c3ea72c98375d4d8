"""One module a screen, its style sheet beside it. Screens ask the feed for data and turn keys into wishes."""
