"""Loading and saving models, tokenizers and adapters."""
