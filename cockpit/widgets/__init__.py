"""The cockpit's own widgets, each drawing only what changed. They know messages, never the store's functions."""
