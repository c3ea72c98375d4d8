"""Activation steering: directions in the residual stream, the hooks that add them, and the gates that they must pass."""
