"""The cockpit for ears: one sentence a line, nothing drawn, nothing painted again. For screen readers, and for pipes."""
