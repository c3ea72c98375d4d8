"""From prompts to completions: back ends behind one protocol."""
